#include <gmock/gmock.h>

#include "dmoerm/core/error.h"
#include "dmoerm/core/safetensors.h"
#include "tests/core/temporary_directory.h"

namespace dmoerm {
namespace {

using ::testing::HasSubstr;
using SafeTensorsTest = TemporaryDirectoryTest;

std::string file_of(const std::string& header, size_t data_bytes) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes + header + std::string(data_bytes, 'x');
}

TEST_F(SafeTensorsTest, EveryTypeComesBack) {
  NamedTensors tensors;
  for (const auto type : {torch::kFloat64, torch::kFloat32, torch::kFloat16, torch::kBFloat16, torch::kInt64,
                          torch::kInt32, torch::kInt16, torch::kInt8, torch::kUInt8, torch::kBool})
    tensors[std::string("t") + torch::toString(type)] = torch::arange(6).view({2, 3}).to(type);
  tensors["empty"] = torch::empty({0, 4});
  tensors["scalar"] = torch::tensor(2.5f);
  tensors["transposed"] = torch::arange(6.f).view({2, 3}).t();
  save_safetensors(directory_ / "a.safetensors", tensors, {{"key", "value \"quoted\""}});
  const SafeTensors file(directory_ / "a.safetensors");
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.metadata().at("key"), "value \"quoted\"");
  ASSERT_EQ(file.names().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(file.dtype(name), tensor.scalar_type()) << name;
    EXPECT_TRUE(torch::equal(file.tensor(name), tensor)) << name;
  }
}

TEST_F(SafeTensorsTest, EveryTruncationIsRefused) {
  save_safetensors(directory_ / "a", {{"w", torch::ones({3, 5})}, {"v", torch::zeros({7})}});
  const std::string whole = read_file(directory_ / "a");
  for (size_t size = 0; size < whole.size(); ++size) {
    write_file_atomically(directory_ / "b", whole.substr(0, size));
    EXPECT_THROW(SafeTensors(directory_ / "b"), Error) << size;
  }
  write_file_atomically(directory_ / "b", whole + "x");
  EXPECT_THROW(SafeTensors(directory_ / "b"), Error);
}

TEST_F(SafeTensorsTest, BadHeadersAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "its shape needs 8"},
      {R"({"w":{"dtype":"F9","shape":[2],"data_offsets":[0,8]}})", "F9"},
      {R"({"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", "none negative"},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8000]}})", "outside"},
      {R"({"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})",
       "larger than the file"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "gap"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "belong to no tensor"},
      {R"({"w":{"dtype":"F32","data_offsets":[0,8]}})", "shape"},
      {R"([1])", "expected an object"},
      {R"({"w")", "JSON"}};
  for (const auto& [header, reason] : cases) {
    write_file_atomically(directory_ / "bad.safetensors", file_of(header, 8));
    const std::string message = error_of([&] { SafeTensors(directory_ / "bad.safetensors"); });
    EXPECT_THAT(message, HasSubstr(reason)) << header;
    EXPECT_THAT(message, HasSubstr("bad.safetensors"));
  }
}

}  // namespace
}  // namespace dmoerm
