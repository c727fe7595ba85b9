# Makefile - a thin door: each target installs the Debian packages it needs, then calls Meson. The build itself is meson.build.
.PHONY: all test demo test-oracle fidelity matrix bench bench-e2e bench-rows install deb clean

all:
	@tools/install-packages.sh build
	@tools/build.sh build

test:
	@tools/install-packages.sh build test
	@tools/test.sh

demo: all
	@tools/demo.sh

test-oracle:
	@tools/install-packages.sh build oracle
	@tools/test-oracle.sh

# One table: torchvision's networks imported and run, against PyTorch (about a quarter of an hour).
fidelity: all
	@tools/install-packages.sh oracle
	@/usr/bin/python3 tests/oracle/fidelity.py build/tenrec

# Every source format into every target, and the corpus, into docs/formats.md (some minutes).
matrix: all
	@tools/install-packages.sh oracle
	@tools/matrix.sh

# Tenrec, ONNX Runtime and PyTorch by turns on this machine, into docs/performance.md (an hour and a half, on an idle machine).
bench: all
	@tools/install-packages.sh bench
	@tools/bench.sh $(BENCH)

# A hundred JPEGs through resnet18, whole processes, beside PyTorch (about a minute).
bench-e2e: all
	@tools/install-packages.sh oracle
	@/usr/bin/python3 bench/e2e.py build/tenrec

# A million rows with their measures: throughput, memory, processors (some minutes; needs nothing but python3).
bench-rows: all
	@/usr/bin/python3 bench/million.py build/tenrec

# PREFIX and DESTDIR as everywhere.
install: all
	@meson configure build --prefix "$(or $(PREFIX),/usr/local)"
	@meson install -C build

deb:
	@tools/install-packages.sh build deb
	@tools/deb.sh

clean:
	rm -rf build build-*
