# LibTorch, and the libraries that Debian packages. Also what find_package(dmoerm) needs: it is installed with it.
find_package(PkgConfig REQUIRED)
find_package(Torch REQUIRED)
separate_arguments(DMOERM_TORCH_FLAGS UNIX_COMMAND "${TORCH_CXX_FLAGS}")
# LibTorch's headers are not ours to warn about.
set_property(TARGET torch APPEND PROPERTY INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${TORCH_INCLUDE_DIRS}")

find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Boost REQUIRED)  # headers: its distributions of statistics

function(dmoerm_pkg target module)
  pkg_check_modules(${module} REQUIRED IMPORTED_TARGET GLOBAL ${module})
  add_library(${target} ALIAS PkgConfig::${module})
endfunction()
dmoerm_pkg(tomlplusplus::tomlplusplus tomlplusplus)
dmoerm_pkg(pcre2::pcre2 libpcre2-8)
dmoerm_pkg(utf8proc::utf8proc libutf8proc)
dmoerm_pkg(zstd::zstd libzstd)
dmoerm_pkg(xxHash::xxHash libxxhash)
dmoerm_pkg(curl::curl libcurl)
