// Stable 64-bit hashes (XXH3) and SHA-256 digests. Stable: equal on every machine and in every version.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace dmoerm {

uint64_t hash64(std::string_view bytes, uint64_t seed = 0);
std::string hash64_hex(std::string_view bytes, uint64_t seed = 0);  // 16 hexadecimal digits

// Mixes one more value into a running hash.
uint64_t hash_combine(uint64_t hash, uint64_t value);

std::string sha256_hex(std::string_view bytes);
std::string sha256_file(const std::filesystem::path& path);  // reads the file once, in blocks

}  // namespace dmoerm
