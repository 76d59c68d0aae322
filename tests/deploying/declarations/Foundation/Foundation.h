#pragma once
#define nil nullptr
typedef unsigned long NSUInteger;
typedef long NSInteger;
@interface NSObject
+ (instancetype)alloc;
- (instancetype)init;
@end
@interface NSString : NSObject
@property(readonly) const char *UTF8String;
+ (instancetype)stringWithUTF8String:(const char *)text;
@end
@interface NSNumber : NSObject
@property(readonly) int intValue;
+ (NSNumber *)numberWithInt:(int)value;
@end
struct NSFastEnumerationState;
@interface NSArray <T> : NSObject
+ (instancetype)array;
- (NSUInteger)countByEnumeratingWithState:(NSFastEnumerationState *)state objects:(id *)objects count:(NSUInteger)count;
@end
@interface NSMutableArray <T> : NSArray <T>
- (void)addObject:(T)value;
@end
@protocol NSCopying
@end
@interface NSDictionary <K, V> : NSObject
- (V)objectForKeyedSubscript:(K)key;
+ (instancetype)dictionaryWithObjects:(const id *)values forKeys:(const id *)keys count:(NSUInteger)count;
@end
@interface NSData : NSObject
@property(readonly) const void *bytes;
@property(readonly) NSUInteger length;
+ (instancetype)dataWithBytes:(const void *)bytes length:(NSUInteger)length;
@end
extern NSString *const NSLocalizedDescriptionKey;
@interface NSError : NSObject
+ (instancetype)errorWithDomain:(NSString *)domain code:(NSInteger)code userInfo:(NSDictionary *)words;
@end
