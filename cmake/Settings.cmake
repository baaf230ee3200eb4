# Language level, build type, warnings, ccache.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# Release: optimised, assertions kept (they guard our own mistakes, never user input).
set(CMAKE_CXX_FLAGS_RELEASE "-O2")

find_program(CCACHE ccache)
if(CCACHE)
  # ccache needs these to work with a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

add_library(dmoerm_settings INTERFACE)
target_compile_features(dmoerm_settings INTERFACE cxx_std_20)
target_compile_options(dmoerm_settings INTERFACE
  $<BUILD_INTERFACE:-Wall -Wextra -Wno-sign-compare $<$<BOOL:${CCACHE}>:-fpch-preprocess>>)
if(DMOERM_WERROR)
  target_compile_options(dmoerm_settings INTERFACE $<BUILD_INTERFACE:-Werror>)
endif()
