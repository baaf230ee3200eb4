#include "dmoerm/core/hash.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include <fstream>
#include <memory>
#include <vector>

#include "dmoerm/core/error.h"

namespace dmoerm {
namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void update(const void* data, size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &size);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

uint64_t hash64(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::string hash64_hex(std::string_view bytes, uint64_t seed) {
  return fmt::format("{:016x}", hash64(bytes, seed));
}

uint64_t hash_combine(uint64_t hash, uint64_t value) {
  const uint64_t pair[2] = {hash, value};
  return XXH3_64bits(pair, sizeof pair);
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 sha;
  sha.update(bytes.data(), bytes.size());
  return sha.hex();
}

std::string sha256_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("sha256", "cannot read {}", path.string());
  Sha256 sha;
  std::vector<char> block(1 << 20);
  while (file.read(block.data(), block.size()), file.gcount() > 0) sha.update(block.data(), file.gcount());
  if (file.bad()) fail("sha256", "cannot read {}", path.string());
  return sha.hex();
}

}  // namespace dmoerm
