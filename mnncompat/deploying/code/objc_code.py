"""Objective-C, for iOS: a class around the C++ one, in a file that ends with .mm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.deploying.code.cpp_code import TYPES, cpp_code
from mnncompat.deploying.code.interface import comment, literal, shape_words

if TYPE_CHECKING:
    from mnncompat.deploying.code.images import CodeImage
    from mnncompat.deploying.code.interface import CodeTensor, Interface

_OBJC = """
#import <Foundation/Foundation.h>

// Values in their logical order, with a shape.
@interface MNNArray : NSObject
@property(nonatomic, strong) NSData *values;
@property(nonatomic, strong) NSArray<NSNumber *> *shape;
@end

@implementation MNNArray
@end

typedef NSDictionary<NSString *, MNNArray *> MNNArrays;

// Runs {file}.
@interface MNNModel : NSObject
- (instancetype)initWithPath:(NSString *)path threads:(int)threads;
{described}{declared}- (MNNArrays *)run:(MNNArrays *)given error:(NSError **)error;
@end

template <typename T>
static Array<T> taken(MNNArray *array) {{
    Array<T> found;
    for (NSNumber *size in array.shape) {{
        found.shape.push_back(size.intValue);
    }}
    const T *first = static_cast<const T *>(array.values.bytes);
    found.values.assign(first, first + array.values.length / sizeof(T));
    return found;
}}

template <typename T>
static MNNArray *handed(const Array<T> &array) {{
    MNNArray *found = [[MNNArray alloc] init];
    NSMutableArray<NSNumber *> *shape = [NSMutableArray array];
    for (int size : array.shape) {{
        [shape addObject:@(size)];
    }}
    found.shape = shape;
    found.values = [NSData dataWithBytes:array.values.data() length:array.values.size() * sizeof(T)];
    return found;
}}

@implementation MNNModel {{
    std::unique_ptr<Model> _model;
}}

- (instancetype)initWithPath:(NSString *)path threads:(int)threads {{
    self = [super init];
    if (self != nil) {{
        try {{
            _model.reset(new Model(path.UTF8String, threads));
        }} catch (const std::exception &error) {{
            return nil;
        }}
    }}
    return self;
}}

{prepare}- (MNNArrays *)run:(MNNArrays *)given error:(NSError **)error {{
    try {{
        Inputs inputs;
{inputs}        const Outputs outputs = _model->run(inputs);
        return @{{
{outputs}        }};
    }} catch (const std::exception &problem) {{
        if (error != nullptr) {{
            NSDictionary *words = @{{NSLocalizedDescriptionKey : @(problem.what())}};
            *error = [NSError errorWithDomain:@"MNN" code:1 userInfo:words];
        }}
        return nil;
    }}
}}

@end
"""


def objc_code(interface: Interface) -> str:
    """A class `MNNModel`, with the C++ class that it holds."""
    described = "".join(_told("input", each) for each in interface.inputs)
    described += "".join(_told("output", each) for each in interface.outputs)
    return cpp_code(interface) + _OBJC.format(
        file=comment(interface.file),
        described=described,
        declared="".join(f"{_signature(each)};\n" for each in interface.images),
        prepare="".join(map(_prepared, interface.images)),
        inputs="".join(
            f"        inputs.{each.identifier} = taken<{TYPES[each.dtype]}>(given[@{literal(each.name)}]);\n"
            for each in interface.inputs
        ),
        outputs="".join(
            f"            @{literal(each.name)} : handed(outputs.{each.identifier}),\n" for each in interface.outputs
        ),
    )


def _told(what: str, tensor: CodeTensor) -> str:
    return f"// {what} {comment(literal(tensor.name))}: {TYPES[tensor.dtype]}, {shape_words(tensor.shape)}\n"


def _signature(image: CodeImage) -> str:
    """Pixels are red, green, blue and alpha, as a bitmap context of kCGImageAlphaNoneSkipLast holds them."""
    title = "".join(part[:1].upper() + part[1:] for part in image.tensor.identifier.split("_"))
    return f"+ (MNNArray *)prepare{title}:(NSData *)pixels width:(int)width height:(int)height error:(NSError **)error"


def _prepared(image: CodeImage) -> str:
    return f"""// RGBA pixels as the input takes them: {comment(image.steps)}.
{_signature(image)} {{
    try {{
        const auto *bytes = static_cast<const uint8_t *>(pixels.bytes);
        return handed(prepare_{image.tensor.identifier}(bytes, width, height, MNN::CV::RGBA));
    }} catch (const std::exception &problem) {{
        if (error != nullptr) {{
            NSDictionary *words = @{{NSLocalizedDescriptionKey : @(problem.what())}};
            *error = [NSError errorWithDomain:@"MNN" code:2 userInfo:words];
        }}
        return nil;
    }}
}}

"""
