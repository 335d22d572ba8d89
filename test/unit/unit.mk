# The plain C tests: programs over the code that knows nothing of the server. They need a C compiler and SIMDe, not
# PostgreSQL, so they build their own objects, in a folder for each compiler.
#
#   make unit                   builds and runs every test/unit/NAME.c
#   make unit SANITIZE=1        with the address and undefined behaviour sanitizers
#   make unit CC=clang          with another compiler
#   make unit-arm64             cross-compiled, run under qemu, with the larger dimensions sampled
#   make bench-kernels          nanoseconds and GB/s of every kernel; KERNELS="l2sq ip_f16" for some; see docs/kernels.md
#   make bench-parse            microseconds to read the text of a vector
#   make bench-layouts          page visits and recall of candidate node layouts of vc_hnsw; see docs/hnsw-layout.md
#   make unit-programs          builds only; with unit-list, which prints their names, what test/run uses

UNIT_VARIANT := $(subst /,_,$(lastword $(CC)))$(if $(SANITIZE),-sanitize)
UNIT_DIR     := build/unit/$(UNIT_VARIANT)
UNIT_CFLAGS   = -std=gnu11 -O3 -g -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
                -fno-math-errno -fvisibility=hidden $(if $(WERROR),-Werror) $(UNIT_SANITIZE) $(UNIT_EXTRA_CFLAGS) \
                -Isrc -Itest/unit
ifneq ($(SANITIZE),)
UNIT_SANITIZE = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif

UNIT_SOURCES  = $(wildcard src/kernels/*.c src/quantize/*.c) $(addprefix src/types/,decimal.c half_text.c sparse_merge.c) \
                $(addprefix src/collection/,filter_lex.c filter_parse.c filter_qdrant.c)
UNIT_OBJS     = $(patsubst %.c,$(UNIT_DIR)/%.o,$(sort $(UNIT_SOURCES)))
UNIT_TESTS   := $(patsubst test/unit/%.c,$(UNIT_DIR)/%,$(sort $(wildcard test/unit/*.c)))

$(UNIT_DIR)/src/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) $(FILE_CFLAGS_$(patsubst %/,%,$(dir $*))) $(FILE_CFLAGS_$*) -MMD -MP -c -o $@ $<

$(UNIT_DIR)/%: test/unit/%.c $(UNIT_OBJS)
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(UNIT_OBJS) -lm -lpthread

-include $(UNIT_OBJS:.o=.d) $(UNIT_TESTS:=.d)

unit-programs: $(UNIT_TESTS)

unit-list:
	@printf '%s\n' $(UNIT_TESTS)

unit: unit-programs
	@status=0; for program in $(UNIT_TESTS); do $(UNIT_RUN) $$program || status=1; done; exit $$status

unit-arm64:
	@tools/packages arm64 libsimde-dev
	@VC_UNIT_QUICK=1 $(MAKE) --no-print-directory unit CC=aarch64-linux-gnu-gcc UNIT_RUN=qemu-aarch64 \
		UNIT_EXTRA_CFLAGS='-static -idirafter /usr/include'

$(UNIT_DIR)/bench_%: test/bench/bench_%.c $(UNIT_OBJS)
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(UNIT_OBJS) -lm

-include $(wildcard $(UNIT_DIR)/bench_*.d)

bench-kernels: $(UNIT_DIR)/bench_kernels
	@$< $(KERNELS)

bench-parse: $(UNIT_DIR)/bench_parse
	@$<

bench-layouts: $(UNIT_DIR)/bench_layouts
	@test/bench/data fm@20k wink@50k
	@data=$${BENCH_DATA:-build/bench-data}; \
	$< $$data/fm@20k.base.f32 $$data/fm@20k.query.f32 $$data/fm@20k.gt.i32 784 l2 && echo && \
	$< $$data/wink@50k.base.f32 $$data/wink@50k.query.f32 $$data/wink@50k.gt.i32 100 cosine

.PHONY: unit unit-list unit-programs unit-arm64 bench-kernels bench-parse bench-layouts
