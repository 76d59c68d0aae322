#pragma once
#include <MNN/Schedule.hpp>
#include <MNN/Tensor.hpp>
namespace MNN {
enum ErrorCode { NO_ERROR = 0 };
class Session;
class Interpreter {
public:
    static Interpreter* createFromFile(const char* file);
    static void destroy(Interpreter* net);
    Session* createSession(const ScheduleConfig& config);
    void resizeSession(Session* session);
    ErrorCode runSession(Session* session) const;
    Tensor* getSessionInput(const Session* session, const char* name);
    Tensor* getSessionOutput(const Session* session, const char* name);
    void resizeTensor(Tensor* tensor, const std::vector<int>& dims);
};
}  // namespace MNN
