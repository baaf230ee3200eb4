// Bases that together are larger than a device's memory: some lie there, the others in memory of the host,
// from where they are moved ahead of their use.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "dmoerm/core/async_copy.h"
#include "dmoerm/nn/decoder.h"

namespace dmoerm::reward {

class BaseResidency {
 public:
  // `memory`: bytes that bases may take on the device.
  BaseResidency(torch::Device device, int64_t memory) : device_(device), memory_(memory) {}
  BaseResidency(const BaseResidency&) = delete;
  // What is queued from then on waits for a base that is still being moved: its memory may be used again.
  ~BaseResidency();

  // Takes the weights of a base that lies on the host. Error, naming both sizes, when it alone is larger than
  // the memory. All bases are added before the first is used.
  void add(std::shared_ptr<nn::Decoder> decoder);
  // The base's weights are on the device for what is queued from now on. The least recently used one gives
  // way.
  void use(const nn::Decoder& decoder);
  // Begins to move a base that use() will ask for, while the device computes; never in the place of the one
  // in use. Does nothing where there is no second place.
  void prefetch(const nn::Decoder& decoder);
  bool is_resident(const nn::Decoder& decoder) const;
  int64_t num_moves() const { return num_moves_; }

 private:
  struct Base {
    std::shared_ptr<nn::Decoder> decoder;
    Tensor flat;  // all weights of the decoder's type, one after another, on the host (pinned for CUDA)
    NamedTensors fixed;  // weights of another type, which stay on the device
  };
  struct Slot {
    Tensor flat;
    const nn::Decoder* decoder = nullptr;
    AsyncCopy copy;
    int64_t used = 0;  // when, counted
  };
  void make_slots();
  Slot* find(const nn::Decoder& decoder);
  void move_into(Slot& slot, const nn::Decoder& decoder);

  torch::Device device_;
  int64_t memory_, largest_ = 0, num_moves_ = 0, clock_ = 0;
  std::map<const nn::Decoder*, Base> bases_;
  std::vector<Slot> slots_;
};

}  // namespace dmoerm::reward
