# make demo   set up, generate shapes, train, evaluate, draw
# make test   set up, run the tests
# make lint   set up, ruff
PY := .venv/bin/python
DEMO := configs/maskrcnn_v2_s0_shapes.py
DEMO_DIR := work_dirs/demo

.PHONY: help setup demo test lint

help:
	@sed -n 's/^# make/make/p' Makefile

setup:
	@tools/setup.sh

demo: setup
	$(PY) tools/train.py $(DEMO) --work-dir $(DEMO_DIR)
	$(PY) tools/test.py $(DEMO) $(DEMO_DIR) --work-dir $(DEMO_DIR) --show-dir $(DEMO_DIR)/pictures --show-count 12

test: setup
	$(PY) -m pytest

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

