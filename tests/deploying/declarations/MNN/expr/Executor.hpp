#pragma once
#include <MNN/Schedule.hpp>
namespace MNN {
namespace Express {
class Executor {
public:
    class RuntimeManager {
    public:
        static RuntimeManager* createRuntimeManager(const ScheduleConfig& config);
        static void destroy(RuntimeManager* manager);
    };
};
}  // namespace Express
}  // namespace MNN
