# dmoerm_level(name DEPENDS …): the static library of dmoerm/<name>/*.cpp; dmoerm_tests(name): its tests.

# One precompiled header for every target that works with tensors. It costs 2 s a file to read, so the others do
# without (NO_TORCH).
if(NOT EXISTS ${CMAKE_BINARY_DIR}/pch.cpp)  # a new one would have everything built again
  file(WRITE ${CMAKE_BINARY_DIR}/pch.cpp "")
endif()
add_library(dmoerm_pch STATIC ${CMAKE_BINARY_DIR}/pch.cpp)
target_link_libraries(dmoerm_pch PUBLIC dmoerm_settings torch)
target_include_directories(dmoerm_pch PUBLIC ${CMAKE_SOURCE_DIR})
target_compile_options(dmoerm_pch PUBLIC ${DMOERM_TORCH_FLAGS})
target_precompile_headers(dmoerm_pch PRIVATE "dmoerm/core/compat.h")

function(dmoerm_use_pch target)
  target_precompile_headers(${target} REUSE_FROM dmoerm_pch)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL EXECUTABLE)
    target_compile_options(${target} PRIVATE -fPIC)  # as the header was compiled
  endif()
endfunction()

# Several sources are compiled as one: a file of ours is short against the headers that it includes, and a clean build
# takes a third of the time. -DCMAKE_UNITY_BUILD=OFF compiles each alone, which is quicker when one file changes.
option(CMAKE_UNITY_BUILD "Compile several sources as one" ON)
set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)
set_target_properties(dmoerm_pch PROPERTIES UNITY_BUILD OFF)

add_library(dmoerm INTERFACE)
set_property(GLOBAL PROPERTY DMOERM_LEVELS "")

function(dmoerm_level name)
  cmake_parse_arguments(arg "NO_TORCH" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/dmoerm/${name}/*.cpp")
  if(NOT sources)
    return()
  endif()
  dmoerm_choose_cuda(${name} sources)
  add_library(dmoerm_${name} STATIC ${sources})
  target_include_directories(dmoerm_${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}> $<INSTALL_INTERFACE:include>)
  target_compile_options(dmoerm_${name} PUBLIC ${DMOERM_TORCH_FLAGS})
  target_link_libraries(dmoerm_${name} PUBLIC ${arg_DEPENDS} $<BUILD_INTERFACE:dmoerm_settings>)
  if(NOT arg_NO_TORCH)
    dmoerm_use_pch(dmoerm_${name})
  endif()
  if(TARGET dmoerm_${name}_cuda)
    target_link_libraries(dmoerm_${name} PRIVATE dmoerm_${name}_cuda)
    set_property(GLOBAL APPEND PROPERTY DMOERM_LEVELS dmoerm_${name}_cuda)
  endif()
  target_link_libraries(dmoerm INTERFACE dmoerm_${name})
  set_property(GLOBAL APPEND PROPERTY DMOERM_LEVELS dmoerm_${name})
endfunction()

# Sources of a level that do without the precompiled header. (CMake then compiles each alone.)
function(dmoerm_without_torch level)
  foreach(source ${ARGN})
    set_source_files_properties(dmoerm/${level}/${source}.cpp PROPERTIES SKIP_PRECOMPILE_HEADERS ON
                                SKIP_UNITY_BUILD_INCLUSION ON)
  endforeach()
endfunction()

# Tests of one folder under tests/: one executable, registered case by case under the given label.
function(dmoerm_tests name)
  cmake_parse_arguments(arg "NO_TORCH" "LABEL" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp")
  if(NOT sources)
    return()
  endif()
  if(NOT arg_LABEL)
    set(arg_LABEL fast)
  endif()
  add_executable(test_${name} ${sources})
  target_link_libraries(test_${name} PRIVATE ${arg_LINK} GTest::gmock GTest::gtest_main)
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_definitions(test_${name} PRIVATE DMOERM_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/fixtures")
  if(NOT arg_NO_TORCH)
    dmoerm_use_pch(test_${name})
  endif()
  target_compile_options(test_${name} PRIVATE -O1)  # what they call is optimised; they compile faster
  add_test(NAME ${name} COMMAND test_${name})
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT 600)
endfunction()
