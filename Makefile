# Every target's work is in control/ (python3 -m control --help); this file only names it.
PYTHON ?= python3
export KEEP FORUM PAGES SLAVES TARGET STORAGE SOURCE API_FORMAT OUT FORMAT FORCE NODE LAST SEED FAULTS LEASE ENGINE SCHEDULER CLUSTER PYPI_MIRROR APT_MIRROR CA_FILE
export APT_PROXY BUNDLE SYSTEMS ARCH INVENTORY VM
CONTROL = @$(PYTHON) -m control
.DEFAULT_GOAL := help
.PHONY: help up scale image down clean dashboard status watch logs ssh export setup test test-operations test-vms chaos bench-engines bench-frontier bench-export bench-pages bench-dashboard bench-provision screenshots lint unit lock proto

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "make up, make chaos: STORAGE=mongodb,mysql,jsonl SOURCE=api|web API_FORMAT=json|protobuf ENGINE=scrapy,urllib SCHEDULER=frontier|scrapy_redis"
	@echo "Also: CLUSTER=name of another cluster, PYTHON=python3.12, PYPI_MIRROR=url APT_MIRROR=url APT_PROXY=url CA_FILE=file.pem"

up: ## bring up a cluster in containers and crawl: FORUM=聊天 PAGES=10 SLAVES=2 TARGET=replica|live
	$(CONTROL) up
scale: ## have SLAVES=n slaves while the crawl goes on
	$(CONTROL) scale
image: ## make an image of a provisioned slave: new slaves start from it; VM=slave2: a Vagrant box
	$(CONTROL) image
dashboard: ## open the web page, through a tunnel: INVENTORY=inventory/mine (default: the containers)
	$(CONTROL) dashboard
status: ## how the crawl goes: INVENTORY=inventory/mine
	$(CONTROL) status
watch: ## the same, kept up to date
	$(CONTROL) status --watch
logs: ## the latest log lines of all machines, in the order of time: NODE=slave1 LAST=50 INVENTORY=inventory/mine
	$(CONTROL) logs
ssh: ## a shell on a node: NODE=slave1
	$(CONTROL) ssh
export: ## write what was crawled: FORMAT=csv|jsonl|parquet|xlsx|html OUT=posts.csv FORUM=聊天 FORCE=1
	$(CONTROL) export
down: ## remove what make up made: nodes, network, image, keys, data
	$(CONTROL) down
clean: down ## remove also what this folder can make again: .venv/ and .cache/
	rm -rf .venv .cache

setup: ## the virtual environment alone: .venv/ with ansible and tieba; BUNDLE=folder without internet
	$(CONTROL) setup
.PHONY: bundle test-offline
bundle: ## a folder with all that machines without internet need: SYSTEMS=bookworm,noble ARCH=amd64 STORAGE=mongodb BUNDLE=bundle
	$(CONTROL) bundle
test: ## set up what tests need and run all of them
	$(CONTROL) test
test-operations: export CLUSTER := $(or $(CLUSTER),tieba-operations)
test-operations: ## upgrades, passwords, backups, images and all else that operators do, half an hour: KEEP=1
	$(CONTROL) test --only operations
test-vms: ## vagrant up, a crawl and a reboot on three emulated machines, half an hour: KEEP=1 keeps them after a fault
	$(CONTROL) test-vms
test-offline: export CLUSTER := $(or $(CLUSTER),tieba-offline)
test-offline: ## a cluster cut off from the world, out of a bundle, then through a proxy and a mirror: KEEP=1
	$(CONTROL) test --only offline
chaos: export CLUSTER := $(or $(CLUSTER),tieba-chaos)
chaos: ## a whole crawl while workers, machines and servers fail: SEED=7 FAULTS=50 LEASE=30
	$(CONTROL) chaos
bench-engines: ## a worker with Scrapy and one without compared, five minutes: QUICK=1
	$(CONTROL) bench-engines $(if $(QUICK),--quick)
bench-frontier: ## plain Scrapy, scrapy-redis and the frontier compared, ten minutes: QUICK=1 ONLY=throughput,memory
	$(CONTROL) bench-frontier $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))
bench-export: ## a million posts out of MongoDB and MariaDB into Parquet: QUICK=1
	$(CONTROL) bench-export $(if $(QUICK),--quick)
bench-pages: ## web pages parsed with ours, lxml and parsel, a minute: QUICK=1
	$(CONTROL) bench-pages $(if $(QUICK),--quick)
bench-dashboard: ## the web page with a million requests, five million posts and a thousand viewers, eight minutes: QUICK=1
	$(CONTROL) bench-dashboard $(if $(QUICK),--quick)
screenshots: ## the pictures of the web page in docs/images anew, two minutes
	$(CONTROL) screenshots
bench-provision: export CLUSTER := $(or $(CLUSTER),tieba-bench)
bench-provision: ## deployments of 3, 6 and 12 containers, and of one more slave, six minutes: QUICK=1
	$(CONTROL) bench-provision $(if $(QUICK),--quick)
lint: ## the linters alone
	$(CONTROL) test --only lint
unit: ## the unit and integration tests alone
	$(CONTROL) test --only unit

lock: ## resolve requirements/*.in anew into files with hashes
	requirements/lock
proto: ## generate the client API's messages anew
	.venv/bin/python -m grpc_tools.protoc -I crawler --python_out=crawler --pyi_out=crawler clientapi/messages.proto
