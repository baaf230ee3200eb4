# Installs the build into a prefix of its own, builds examples/embed against it with find_package(dmoerm), and runs it.
#   cmake -D SOURCE=… -D BUILD=… -D FLAGS=… -D PREFIX_PATH=… -P embed.cmake
string(REPLACE ";" ":" PREFIX_PATH "${PREFIX_PATH}")
set(work ${BUILD}/embed_test)
file(REMOVE_RECURSE ${work})
file(MAKE_DIRECTORY ${work})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}\nended with ${status}:\n${output}")
  endif()
endfunction()
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/prefix)
set(ENV{CMAKE_PREFIX_PATH} "${work}/prefix:${PREFIX_PATH}")
run(${CMAKE_COMMAND} -S ${SOURCE}/examples/embed -B ${work}/build -G Ninja "-DCMAKE_CXX_FLAGS=${FLAGS}")
run(${CMAKE_COMMAND} --build ${work}/build)

# The first two sequences of tests/fixtures/llama-seq/expected.safetensors and their logits, computed by transformers.
file(WRITE ${work}/records.jsonl
     "{\"prompt_ids\": [36, 123], \"response_ids\": [[100, 40, 5]]}\n"
     "{\"prompt_ids\": [112, 70, 39, 41, 156], \"response_ids\": [[54, 45, 124, 5, 60, 54, 104, 68, 61, 119, 62, 50]]}\n")
execute_process(COMMAND ${work}/build/embed ${SOURCE}/tests/fixtures/llama-seq INPUT_FILE ${work}/records.jsonl
                RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
# std::cout shows six digits.
if(NOT status EQUAL 0 OR NOT output MATCHES "^0\\.35519[0-9]*\n-0\\.45538[0-9]*\n$")
  message(FATAL_ERROR "embed ended with ${status}, expected the rewards 0.355190 and -0.455389, found:\n${output}${errors}")
endif()

# A wrong model is one line and status 1.
execute_process(COMMAND ${work}/build/embed ${work}/nothing INPUT_FILE ${work}/records.jsonl
                RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
if(NOT status EQUAL 1 OR NOT errors MATCHES "^embed: [^\n]*nothing[^\n]*\n$")
  message(FATAL_ERROR "a missing model gave status ${status} and: ${errors}")
endif()
file(REMOVE_RECURSE ${work})
