#include "dmoerm/reward/base_residency.h"

#include <algorithm>

#include "dmoerm/core/device_memory.h"
#include "dmoerm/core/error.h"
#include "dmoerm/core/log.h"
#include "dmoerm/nn/joined_weights.h"

namespace dmoerm::reward {
namespace {

// The decoder's weights as views of `flat`, joined projections side by side.
NamedTensors views_of(const nn::Decoder& decoder, const Tensor& flat, NamedTensors fixed) {
  int64_t begin = 0;
  for (const std::string& name : nn::joined_order(decoder.config())) {
    const Tensor& weight = decoder.weights().at(name);
    if (weight.scalar_type() != flat.scalar_type()) continue;
    fixed[name] = flat.narrow(0, begin, weight.numel()).view(weight.sizes());
    begin += weight.numel();
  }
  return fixed;
}

}  // namespace

BaseResidency::~BaseResidency() {
  for (Slot& slot : slots_) slot.copy.finish();
}

void BaseResidency::add(std::shared_ptr<nn::Decoder> decoder) {
  DMOERM_ASSERT(slots_.empty() && decoder->device().is_cpu());
  const torch::NoGradGuard no_grad;
  const torch::ScalarType type = decoder->weights().at("embed_tokens.weight").scalar_type();
  Base base;
  int64_t numbers = 0;
  for (const auto& [name, weight] : decoder->weights()) {
    if (weight.scalar_type() == type)
      numbers += weight.numel();
    else
      base.fixed[name] = weight.to(device_);
  }
  const int64_t bytes = numbers * static_cast<int64_t>(c10::elementSize(type));
  if (bytes > memory_)
    fail("memory", "a base takes {:.1f} MB, expected at most the limit of {:.1f} MB",
         static_cast<double>(bytes) / 1e6, static_cast<double>(memory_) / 1e6);
  base.flat = host_memory(bytes, device_).view(type);
  largest_ = std::max(largest_, bytes);
  NamedTensors host = views_of(*decoder, base.flat, base.fixed);
  for (auto& [name, view] : host)
    if (base.fixed.count(name) == 0) view.copy_(decoder->weights().at(name));
  decoder->replace_weights(std::move(host));
  base.decoder = decoder;
  bases_.emplace(decoder.get(), std::move(base));
}

void BaseResidency::make_slots() {
  if (!slots_.empty()) return;
  const auto count = std::min<int64_t>(memory_ / largest_, static_cast<int64_t>(bases_.size()));
  for (int64_t i = 0; i < count; ++i) {
    Slot slot;
    try {
      slot.flat = torch::empty({largest_}, torch::TensorOptions(device_).dtype(torch::kUInt8));
    } catch (const OutOfMemory&) {  // another program was faster
      if (slots_.empty()) throw;
      release_unused_memory(device_);
      log().warn("the device is out of memory: {} of {} bases lie there at once", i, bases_.size());
      return;
    }
    slots_.push_back(std::move(slot));
  }
}

BaseResidency::Slot* BaseResidency::find(const nn::Decoder& decoder) {
  for (Slot& slot : slots_)
    if (slot.decoder == &decoder) return &slot;
  return nullptr;
}

bool BaseResidency::is_resident(const nn::Decoder& decoder) const {
  return std::ranges::any_of(slots_, [&](const Slot& slot) { return slot.decoder == &decoder; });
}

void BaseResidency::move_into(Slot& slot, const nn::Decoder& decoder) {
  if (slot.decoder) {  // its weights are those on the host again
    const Base& old = bases_.at(slot.decoder);
    slot.copy.finish();
    old.decoder->replace_weights(views_of(*old.decoder, old.flat, old.fixed));
  }
  const Base& base = bases_.at(&decoder);
  const Tensor target =
      slot.flat.narrow(0, 0, static_cast<int64_t>(base.flat.nbytes())).view(base.flat.scalar_type());
  slot.copy.start(target, base.flat);
  slot.decoder = &decoder;
  base.decoder->replace_weights(views_of(*base.decoder, target, base.fixed));
  ++num_moves_;
}

void BaseResidency::use(const nn::Decoder& decoder) {
  if (bases_.count(&decoder) == 0) return;  // one that stays on the device, such as a router's
  make_slots();
  if (!find(decoder)) move_into(*std::ranges::min_element(slots_, {}, &Slot::used), decoder);
  Slot& slot = *find(decoder);
  slot.copy.finish();
  slot.used = ++clock_;
}

void BaseResidency::prefetch(const nn::Decoder& decoder) {
  if (bases_.count(&decoder) == 0) return;
  make_slots();
  if (slots_.size() < 2 || find(decoder)) return;
  move_into(*std::ranges::min_element(slots_, {}, &Slot::used), decoder);
}

}  // namespace dmoerm::reward
