#include "dmoerm/core/repeated_work.h"

namespace dmoerm {

struct RepeatedWork::Graph {};

RepeatedWork::RepeatedWork(torch::Device device, std::function<void()> work)
    : device_(device), work_(std::move(work)) {}

RepeatedWork::~RepeatedWork() = default;

void RepeatedWork::run() {
  work_();
}

}  // namespace dmoerm
