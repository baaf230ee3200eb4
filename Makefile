# Thin: every target is one or two commands that can be typed by hand. PRESET chooses the build (CMakePresets.json).
PRESET ?= cpu
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
BUILD := build/$(PRESET)
SOURCES = $(shell git ls-files '*.h' '*.cpp' '*.inc')

.PHONY: help deps build demo test fast-test asan bench format tidy install clean
.DEFAULT_GOAL := help

help:
	@echo "make deps       install the Debian packages that are missing"
	@echo "make build      the program: $(BUILD)/dmoerm"
	@echo "make demo       deps, build, then the whole main job on an embedded example, into out/demo (ARGS=\"--seeds 3\")"
	@echo "make test       deps, build, then every test"
	@echo "make fast-test  the tests that take seconds"
	@echo "make asan       every test under the address and undefined-behaviour sanitizers"
	@echo "make bench      the benchmarks"
	@echo "make format     clang-format on every source"
	@echo "make tidy       clang-tidy on every source (slow)"
	@echo "make install    program, libraries, headers and find_package(dmoerm) into PREFIX=$(PREFIX)"
	@echo "make clean      remove $(BUILD)"
	@echo "PRESET=cpu|cpu-asan|cuda chooses the build, JOBS=N the number of compilers at a time."

deps:
	@scripts/deps.sh

# Ninja runs CMake again by itself when a CMake file or the list of sources changes.
$(BUILD)/build.ninja:
	cmake --preset $(PRESET)

build: $(BUILD)/build.ninja
	cmake --build $(BUILD) -j $(JOBS) --target dmoerm_program

demo: deps
	@$(MAKE) --no-print-directory build
	$(BUILD)/dmoerm demo --out out/demo $(ARGS)

test fast-test: deps
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	cmake --build $(BUILD) -j $(JOBS)
	ctest --test-dir $(BUILD) -j $(JOBS) --output-on-failure $(if $(filter fast-test,$@),-L fast) $(ARGS)

asan:
	@$(MAKE) --no-print-directory test PRESET=cpu-asan

bench: deps
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	cmake --build $(BUILD) -j $(JOBS) --target bench/all
	@set -e; for program in $(BUILD)/bench/bench_*; do echo "== $$program"; $$program $(ARGS); done

format:
	@scripts/deps.sh clang-format
	clang-format -i $(SOURCES)

# In a configuration of its own without precompiled headers: clang cannot read those of g++.
tidy: deps
	@scripts/deps.sh clang-tidy
	cmake --preset $(PRESET) -B build/tidy -D CMAKE_DISABLE_PRECOMPILE_HEADERS=ON -D DMOERM_WERROR=OFF
	printf '%s\n' $(filter %.cpp,$(SOURCES)) | grep -v '^examples/' | xargs -P $(JOBS) -n 1 clang-tidy -p build/tidy --quiet

install: build
	cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf $(BUILD)
