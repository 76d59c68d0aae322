#pragma once
#include <MNN/MNNForwardType.h>
namespace MNN {
struct ScheduleConfig {
    MNNForwardType type = MNN_FORWARD_CPU;
    union {
        int numThread = 4;
        int mode;
    };
    BackendConfig* backendConfig = nullptr;
};
}  // namespace MNN
