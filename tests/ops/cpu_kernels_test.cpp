// Every instruction set's kernels on this processor: the exponential, and attention against each other.
#include "dmoerm/ops/cpu_kernels.h"

#include <cmath>
#include <limits>

#include "testing.h"

namespace dmoerm::ops {
namespace {

class Kernels : public testing::TestWithParam<const CpuKernels*> {};

std::vector<const CpuKernels*> usable() {
  const CpuKernelList list = usable_cpu_kernels();
  return {list.kernels, list.kernels + list.count};
}
INSTANTIATE_TEST_SUITE_P(Sets, Kernels, testing::ValuesIn(usable()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST_P(Kernels, ExpIsWithinTwoUnitsInTheLastPlace) {
  std::vector<float> x;
  for (double value = -87.29; value < 88.72; value += 0.00173) x.push_back(static_cast<float>(value));
  std::vector<float> y(x.size());
  GetParam()->exp(x.data(), y.data(), static_cast<int64_t>(x.size()));
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    const double unit = std::nextafter(static_cast<float>(exact), std::numeric_limits<float>::infinity()) -
                        static_cast<double>(static_cast<float>(exact));
    worst = std::max(worst, std::abs(y[i] - exact) / unit);
  }
  EXPECT_LE(worst, 2);
}

TEST_P(Kernels, ExpOfSpecialValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float x[] = {-infinity, -1000, -88, 0, 89, 1e30f, infinity, std::nanf("")};
  float y[8];
  GetParam()->exp(x, y, 8);
  EXPECT_EQ(std::vector<float>(y, y + 7), (std::vector<float>{0, 0, 0, 1, infinity, infinity, infinity}));
  EXPECT_TRUE(std::isnan(y[7]));
}

TEST_P(Kernels, PackingPadsWithZeros) {
  const int64_t count = 19, channels = 21, stride = 50;
  const auto round_up = [&](int64_t n) {
    return (n + GetParam()->width - 1) / GetParam()->width * GetParam()->width;
  };
  std::vector<float> src(count * stride);
  for (size_t i = 0; i < src.size(); ++i) src[i] = static_cast<float>(i + 1);
  std::vector<float> rows(count * round_up(channels), -1), columns(channels * round_up(count), -1);
  GetParam()->pack_rows(src.data(), stride, count, channels, round_up(channels), rows.data());
  GetParam()->pack_columns(src.data(), stride, count, channels, round_up(count), columns.data());
  for (int64_t i = 0; i < count; ++i)
    for (int64_t c = 0; c < round_up(channels); ++c)
      EXPECT_EQ(rows[i * round_up(channels) + c], c < channels ? src[i * stride + c] : 0);
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t i = 0; i < round_up(count); ++i)
      EXPECT_EQ(columns[c * round_up(count) + i], i < count ? src[i * stride + c] : 0);
}

}  // namespace
}  // namespace dmoerm::ops
