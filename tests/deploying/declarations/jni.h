#pragma once
#include <cstdint>
#define JNIEXPORT
#define JNICALL
using jint = int32_t;
using jlong = int64_t;
using jbyte = signed char;
using jfloat = float;
using jdouble = double;
using jsize = jint;
struct _jobject {};
struct _jclass : _jobject {};
struct _jstring : _jobject {};
struct _jarray : _jobject {};
struct _jobjectArray : _jarray {};
struct _jintArray : _jarray {};
struct _jlongArray : _jarray {};
struct _jbyteArray : _jarray {};
struct _jfloatArray : _jarray {};
struct _jdoubleArray : _jarray {};
using jobject = _jobject*;
using jclass = _jclass*;
using jstring = _jstring*;
using jarray = _jarray*;
using jobjectArray = _jobjectArray*;
using jintArray = _jintArray*;
using jlongArray = _jlongArray*;
using jbyteArray = _jbyteArray*;
using jfloatArray = _jfloatArray*;
using jdoubleArray = _jdoubleArray*;
struct JNIEnv {
    jclass FindClass(const char* name);
    jint ThrowNew(jclass type, const char* message);
    const char* GetStringUTFChars(jstring text, unsigned char* copied);
    void ReleaseStringUTFChars(jstring text, const char* chars);
    jsize GetArrayLength(jarray array);
    jobjectArray NewObjectArray(jsize length, jclass type, jobject initial);
    jobject GetObjectArrayElement(jobjectArray array, jsize index);
    void SetObjectArrayElement(jobjectArray array, jsize index, jobject value);
    jintArray NewIntArray(jsize length);
    void GetIntArrayRegion(jintArray array, jsize start, jsize length, jint* values);
    void SetIntArrayRegion(jintArray array, jsize start, jsize length, const jint* values);
    jlongArray NewLongArray(jsize length);
    void GetLongArrayRegion(jlongArray array, jsize start, jsize length, jlong* values);
    void SetLongArrayRegion(jlongArray array, jsize start, jsize length, const jlong* values);
    jbyteArray NewByteArray(jsize length);
    void GetByteArrayRegion(jbyteArray array, jsize start, jsize length, jbyte* values);
    void SetByteArrayRegion(jbyteArray array, jsize start, jsize length, const jbyte* values);
    jfloatArray NewFloatArray(jsize length);
    void GetFloatArrayRegion(jfloatArray array, jsize start, jsize length, jfloat* values);
    void SetFloatArrayRegion(jfloatArray array, jsize start, jsize length, const jfloat* values);
    jdoubleArray NewDoubleArray(jsize length);
    void GetDoubleArrayRegion(jdoubleArray array, jsize start, jsize length, jdouble* values);
    void SetDoubleArrayRegion(jdoubleArray array, jsize start, jsize length, const jdouble* values);
};
