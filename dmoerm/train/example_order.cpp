#include "dmoerm/train/example_order.h"

#include <numeric>

#include "dmoerm/core/error.h"
#include "dmoerm/core/random.h"

namespace dmoerm::train {

ExampleOrder::ExampleOrder(std::vector<Source> sources, uint64_t seed, std::string name)
    : sources_(std::move(sources)), seed_(seed), name_(std::move(name)) {
  DMOERM_ASSERT(!sources_.empty());
  for (const Source& source : sources_) {
    if (source.begin >= source.end) fail("train", "{}: a data source has no examples", name_);
    weights_.push_back(source.weight);
  }
  cursors_.resize(sources_.size());
}

int64_t ExampleOrder::next() {
  size_t chosen = 0;
  if (sources_.size() > 1) {
    RandomStream stream(seed_, "source/" + name_, {static_cast<uint64_t>(drawn_)});
    chosen = stream.weighted(weights_);
  }
  ++drawn_;
  Cursor& cursor = cursors_[chosen];
  const int64_t size = sources_[chosen].end - sources_[chosen].begin;
  if (cursor.position % size == 0) {
    cursor.permutation.resize(size);
    std::iota(cursor.permutation.begin(), cursor.permutation.end(), sources_[chosen].begin);
    const auto epoch = static_cast<uint64_t>(cursor.position / size);
    RandomStream(seed_, "order/" + name_, {chosen, epoch}).shuffle(cursor.permutation);
  }
  return cursor.permutation[cursor.position++ % size];
}

void ExampleOrder::skip(int64_t count) {
  for (int64_t i = 0; i < count; ++i) next();
}

}  // namespace dmoerm::train
