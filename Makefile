# vectorcoll: build, install and test. PGXS does the work; `make help` lists the targets.
#
# OBJS is every .c file under src/, so a new file needs no line here. The files src/kernels/isa_*.c are the same
# kernels compiled once per instruction set; only they get -m flags, and src/kernels/dispatch.c picks one at run time,
# so the library as a whole runs on any CPU of its architecture.

EXTENSION  = vectorcoll
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" vectorcoll.control)
MODULE_big = vectorcoll
OBJS       = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
INSTALL_SQL = $(sort $(wildcard sql/install/*.sql))
DATA_built = build/vectorcoll--$(EXTVERSION).sql

REGRESS      := $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS   = --load-extension=vectorcoll
ISOLATION    := $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --outputdir=build/isolation --load-extension=vectorcoll

PG_CPPFLAGS = -I$(CURDIR)/src
PG_CFLAGS   = -std=gnu11 -O3 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
              -Wno-declaration-after-statement -fno-math-errno $(if $(WERROR),-Werror)
SHLIB_LINK  = -Wl,-Bsymbolic -lm
EXTRA_CLEAN = build

# Bitcode lets the server's JIT inline our functions into expressions. A distance call costs far more than the call
# itself, so that gains nothing, and would ask every builder for clang.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(PGXS),)
include $(PGXS)
else
all install installcheck:
	@echo "pg_config not found: run 'make quickstart', or install postgresql-server-dev-15, or pass PG_CONFIG=/path/to/pg_config" >&2; exit 1
.PHONY: all install installcheck
endif

# From 16 on SQL-callable functions are marked for export; 15 does not mark them, so there everything stays visible and
# -Bsymbolic keeps our calls to ourselves.
override CFLAGS += $(if $(filter 15,$(MAJORVERSION)),,-fvisibility=hidden)

# Flags of one file or one room beyond the common ones; the unit tests build the same files with the same flags.
# The scalar kernels are the yardstick of the others; vectorised by the compiler they would measure the compiler.
FILE_CFLAGS_kernels/isa_scalar = -fno-tree-vectorize -fno-tree-slp-vectorize
ifneq ($(findstring x86_64,$(shell $(CC) -dumpmachine 2>/dev/null)),)
FILE_CFLAGS_kernels/isa_avx2 = -mavx2 -mfma -mf16c -mpopcnt -mbmi2
FILE_CFLAGS_kernels/isa_avx512 = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx512vpopcntdq \
                                 -mfma -mf16c -mpopcnt -mbmi2
endif
# Rotations and codes must come out alike on every CPU, whether or not it has fused multiply-add.
FILE_CFLAGS_quantize = -ffp-contract=off
src/kernels/isa_scalar.o: CFLAGS += $(FILE_CFLAGS_kernels/isa_scalar)
src/kernels/isa_avx2.o:   CFLAGS += $(FILE_CFLAGS_kernels/isa_avx2)
src/kernels/isa_avx512.o: CFLAGS += $(FILE_CFLAGS_kernels/isa_avx512)
src/quantize/%.o:         CFLAGS += $(FILE_CFLAGS_quantize)

$(OBJS): $(wildcard src/*.h src/*/*.h)

build/vectorcoll--$(EXTVERSION).sql: $(INSTALL_SQL) vectorcoll.control
	@mkdir -p build
	cat $(INSTALL_SQL) > $@

include test/unit/unit.mk

ifneq ($(PGXS),)
build/fashion: quickstart/fashion.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -I$(includedir) -o $@ $< -L$(libdir) -lpq
endif

# Everything below installs what it needs, and runs servers of its own in .pg; see tools/README.md and test/README.md.
test: ; @test/run
lint setup regress isolation pgtap docs clients tap: ; @test/run $@
quickstart: ; @quickstart/run
format: ; @tools/packages clang-format && clang-format -i $$(find src test quickstart -name '*.[ch]')

# The same suite with the PostgreSQL of a later Debian release, in a tree of that release; needs root.
check-pg17: ; @tools/chroot run trixie$(VC_CHROOT) sh -c 'export PG_MAJOR=17; tools/packages build && make test'
check-pg18: ; @tools/chroot run forky$(VC_CHROOT) sh -c 'export PG_MAJOR=18; tools/packages build && make test'

# Both commands of the README in a Debian tree with nothing but git and make.
check-bare: ; @tools/check-bare

# Speed, size and recall beside other vector extensions; test/bench/README.md. BENCH="--quick" and the like.
bench: ; @test/bench/bench $(BENCH)
bench-peers: ; @test/bench/peers $(BENCH)

help:
	@echo 'all install installcheck   as in any PGXS extension; PG_CONFIG=... chooses the PostgreSQL'
	@echo 'quickstart                from nothing to a searched collection of 60,000 images, with a private server'
	@echo 'test                      every test; one suite: lint setup unit regress isolation pgtap docs clients tap'
	@echo 'unit                      the plain C tests alone, without PostgreSQL; SANITIZE=1 or CC=clang as you like'
	@echo 'unit-arm64                the same for arm64, cross-compiled and under qemu'
	@echo 'bench-kernels             nanoseconds and GB/s of every kernel on this CPU; KERNELS=l2sq for some'
	@echo 'check-pg17 check-pg18     the same with a later PostgreSQL, in a Debian tree (root)'
	@echo 'check-bare                quickstart and test in a bare Debian 12 tree (root)'
	@echo 'bench bench-peers         recall, QPS, builds, size; beside pgvector in a Debian tree (root); BENCH="--quick"'
	@echo 'format                    clang-format over the C sources'
	@echo 'clean                     removes what was built; tools/server remove deletes a private server'

export PG_CONFIG PG_MAJOR

.PHONY: test lint setup regress isolation pgtap docs clients tap quickstart format check-pg17 check-pg18 check-bare bench bench-peers help
