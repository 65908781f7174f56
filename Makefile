# The front door. Every target installs what it needs first.
#   make build   the command, at build/aneroid
#   make train   trains a small Llama on the built-in stories, writes a story
#   make test    builds and runs all tests
#   make bench   micro-benchmarks (Google Benchmark) and `aneroid bench`
#   make lint    clang-tidy, include directions;  make format  clang-format
PREFIX ?= /usr/local
JOBS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
RUN ?= runs/stories

.PHONY: build train test bench lint format clean install sanitize tools

tools:
	@scripts/bootstrap

build: tools
	@cmake --preset release >/dev/null
	@cmake --build build -j $(JOBS) --target aneroid_command

train: build
	@build/aneroid train --out $(RUN) --overwrite $(ARGS)
	@build/aneroid generate --model $(RUN) --prompt "Once upon a time"

test: tools
	@cmake --preset release >/dev/null
	@cmake --build build -j $(JOBS)
	@ctest --preset release -j $(JOBS)

sanitize: tools
	@cmake --preset dev >/dev/null
	@cmake --build build/dev -j $(JOBS) --target unit_tests
	@ctest --preset dev -j $(JOBS) -L unit

bench: tools
	@cmake --preset release -DANEROID_BENCH=ON >/dev/null
	@cmake --build build -j $(JOBS)
	@build/bench/gemm_bench
	@build/aneroid bench kernels
	@build/aneroid bench step

lint:
	@scripts/bootstrap --lint
	@cmake --preset release -B build/lint \
		-DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DANEROID_BENCH=ON >/dev/null
	@BUILD=build/lint scripts/lint

format:
	@scripts/bootstrap --lint
	@git ls-files '*.cpp' '*.h' | xargs clang-format -i

install: build
	@cmake --install build --prefix $(PREFIX)

clean:
	@rm -rf build
