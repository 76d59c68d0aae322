plugins {
    id("com.android.application") version "8.5.0"
    id("org.jetbrains.kotlin.android") version "1.9.24"
}

val mnn = providers.gradleProperty("mnnRoot").get()

android {
    namespace = "com.example.mnn"
    compileSdk = 34
    defaultConfig {
        applicationId = "com.example.mnn"
        minSdk = 24
        targetSdk = 34
        ndk { abiFilters += "arm64-v8a" }
        externalNativeBuild { cmake { arguments += listOf("-DMNN_ROOT=$mnn", "-DANDROID_STL=c++_shared") } }
    }
    externalNativeBuild { cmake { path = file("src/main/cpp/CMakeLists.txt") } }
    sourceSets["main"].jniLibs.srcDirs("$mnn/libs")
    sourceSets["main"].assets.srcDirs("src/main/assets")
    kotlinOptions { jvmTarget = "17" }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
}
