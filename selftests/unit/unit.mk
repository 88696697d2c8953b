# SPDX-License-Identifier: GPL-2.0
#
# Unit tests of the files of the module that are pure arithmetic, compiled for
# user space.  Included by ../Makefile.

pure := estimate policy sample_pick scan_order scan_rate vm_name
unit_objects := $(patsubst $(here)/unit/%.c,$(O)/unit/%.o,$(wildcard $(here)/unit/*.c)) \
	$(pure:%=$(O)/unit/src/%.o) $(O)/unit/lib/tap.o $(O)/unit/lib/setting.o
unit_flags := -std=gnu11 -O1 -g -Wall -Wextra -Werror -I$(here)/lib -I$(here)/../src \
	-fsanitize=address,undefined -fno-sanitize-recover=all

# A measurement is none under sanitizers, and comes before the tests' last line.
unit: $(O)/unit/unit_test $(O)/unit/policy_bench
	$(O)/unit/policy_bench
	$<

$(O)/unit/unit_test: $(unit_objects)
	$(CC) $(unit_flags) $(LDFLAGS) -o $@ $^
$(O)/unit/%.o: $(here)/unit/%.c
	@mkdir -p $(@D)
	$(CC) $(unit_flags) $(depend) -c -o $@ $<
$(O)/unit/src/%.o: $(here)/../src/%.c
	@mkdir -p $(@D)
	$(CC) $(unit_flags) $(depend) -c -o $@ $<
$(O)/unit/lib/%.o: $(here)/lib/%.c
	@mkdir -p $(@D)
	$(CC) $(unit_flags) $(depend) -c -o $@ $<

policy_sources := $(here)/unit/bench/policy.c $(here)/../src/policy.c
$(O)/unit/policy_bench: $(policy_sources) $(here)/../src/policy.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -I$(here)/../src $(LDFLAGS) -o $@ $(policy_sources) -lm

-include $(wildcard $(O)/unit/*.d $(O)/unit/src/*.d $(O)/unit/lib/*.d)
