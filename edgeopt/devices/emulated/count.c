/* A QEMU TCG plugin: counts what a guest program executes, by class, and the bytes it moves.
 *
 * Plugin API version 1 (QEMU 6.0 to 8.2); Debian ships no header, so what is used is declared
 * here. Each thread has counters of its own, added to once a translation block; a block ends at
 * every branch and every system call, so the figures at a marker are exact, whatever the other
 * threads do meanwhile (libraries keep some that wake now and then).
 *
 * A marker is the system call MARK, which no kernel has. Each one writes a line to the file
 * out=PATH: the seven counters of the thread that made it. At exit one more is written, with
 * the sums over all threads.
 *
 * AArch64: classes and bytes are decoded from the instruction word. x86-64: classes from prefixes
 * and opcodes, loads and stores stay with the instruction that makes them (no class of their
 * own), bytes are those of each access as QEMU makes it.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct {
    const char *target_name;
    struct { int min, cur; } version;
    bool system_emulation;
    union { struct { int smp_vcpus, max_vcpus; } system; };
} qemu_info_t;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_RW = 3 };
typedef void (*tb_cb)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*block_cb)(unsigned, void *);
typedef void (*mem_cb)(unsigned, qemu_plugin_meminfo_t, uint64_t, void *);
typedef void (*exit_cb)(qemu_plugin_id_t, void *);
typedef void (*call_cb)(qemu_plugin_id_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, tb_cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, block_cb,
                                          enum qemu_plugin_cb_flags, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, mem_cb,
                                      enum qemu_plugin_cb_flags, enum qemu_plugin_mem_rw, void *);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, call_cb);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, exit_cb, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

#define MARK 60782 /* keep equal to MARK in edgeopt/agent/counting.py */
enum { VECTOR_MAC, VECTOR_OTHER, LOAD_STORE, BRANCH, SCALAR, LOADED, STORED, COUNTERS };
#define THREADS 4096 /* further ones share their counters */
static uint64_t counted[THREADS][COUNTERS];
static FILE *out;
static bool arm;

static uint32_t bits(uint32_t word, int high, int low)
{
    return (word >> low) & ((1u << (high - low + 1)) - 1);
}

/* Whether an Advanced SIMD word (bits 28 to 25 are 0111, bit 31 is 0) multiplies and adds. */
static bool accumulates(uint32_t w)
{
    uint32_t u = bits(w, 29, 29), op;

    if (bits(w, 28, 24) == 0x0f && !bits(w, 10, 10)) { /* by element */
        op = bits(w, 15, 12);
        return op < 8 || op == 14 || op == 15 || (u && (op == 8 || op == 12 || op == 13));
    }
    if (bits(w, 28, 24) != 0x0e) {
        return false;
    }
    if (bits(w, 21, 21) && bits(w, 10, 10)) { /* three of the same */
        op = bits(w, 15, 11);
        return op == 0x12 || op == 0x19 || (op == 0x1d && !u);
    }
    if (bits(w, 21, 21) && !bits(w, 11, 10)) { /* three different: long */
        op = bits(w, 15, 12);
        return op >= 8 && op <= 11;
    }
    if (!bits(w, 21, 21) && bits(w, 15, 15) && bits(w, 10, 10)) { /* dot products and more */
        op = bits(w, 14, 11);
        return op < 12 || op == 13 || op == 15;
    }
    /* half precision: FMLA, FMLS */
    return bits(w, 22, 21) == 2 && !u && bits(w, 15, 10) == 3;
}

/* Adds the bytes that a load or store (bit 27 is 1, bit 25 is 0) moves. */
static void moves(uint32_t w, uint64_t *sum)
{
    static const int registers[16] = {4, 0, 4, 0, 3, 0, 3, 1, 2, 0, 2, 0, 0, 0, 0, 0};
    uint32_t size = bits(w, 31, 30), vector = bits(w, 26, 26), opc = bits(w, 23, 22), bytes;
    bool load = bits(w, 22, 22), both = false;

    if (bits(w, 29, 24) == 0x0c) { /* LD1 to LD4, whole registers */
        bytes = registers[bits(w, 15, 12)] * (bits(w, 30, 30) ? 16 : 8);
    } else if (bits(w, 29, 24) == 0x0d) { /* one lane, or one element to all lanes */
        uint32_t scale = bits(w, 15, 14);
        uint32_t each = scale == 3 ? 1u << bits(w, 11, 10)
                      : scale == 2 ? (bits(w, 10, 10) ? 8 : 4) : 1u << scale;
        bytes = each * ((bits(w, 13, 13) << 1 | bits(w, 21, 21)) + 1);
    } else if (bits(w, 29, 24) == 0x08) { /* exclusive, ordered, compare and swap */
        bool pair = bits(w, 21, 21) && !bits(w, 23, 23);
        both = bits(w, 21, 21) && (bits(w, 23, 23) || !bits(w, 31, 31));
        bytes = pair && both ? 8u << bits(w, 30, 30) : (1u << size) * (pair ? 2 : 1);
    } else if (bits(w, 29, 27) == 3 && !bits(w, 25, 24)) { /* from beside the code */
        bytes = vector ? 4u << size : size == 3 ? 0 : size == 1 ? 8 : 4;
        load = true;
    } else if (bits(w, 29, 27) == 5) { /* pairs */
        bytes = 2 * (vector ? 4u << size : size == 2 ? 8 : 4);
    } else if (vector) {
        bytes = (opc & 2) && !size ? 16 : 1u << size;
    } else { /* one register */
        bytes = 1u << size;
        load = opc != 0;
        if (bits(w, 29, 27) == 7 && !bits(w, 24, 24) && bits(w, 21, 21)) {
            uint32_t kind = bits(w, 11, 10);
            both = kind == 0 && bits(w, 15, 12) != 12; /* atomics; 12 is LDAPR */
            load = kind == 0 || kind == 1 || kind == 3 ? true : load;
        }
        if (bits(w, 29, 27) == 7 && size == 3 && opc == 2
            && (bits(w, 24, 24) || !bits(w, 21, 21) || bits(w, 11, 10) == 2)) {
            bytes = 0; /* prefetch */
        }
    }
    sum[LOADED] += load || both ? bytes : 0;
    sum[STORED] += !load || both ? bytes : 0;
}

static void add_arm(uint32_t w, uint64_t *sum)
{
    uint32_t group = bits(w, 28, 25);

    if ((group & 5) == 4) {
        sum[LOAD_STORE]++;
        moves(w, sum);
    } else if ((group & 14) == 10) {
        bool system = bits(w, 31, 25) == 0x6a; /* SVC, MSR, barriers, hints */
        sum[system ? SCALAR : BRANCH]++;
    } else if ((group & 7) == 7) {
        bool lone = !bits(w, 31, 31) && !bits(w, 30, 30) && bits(w, 28, 28);
        if (!bits(w, 31, 31) && !bits(w, 28, 28)) {
            sum[accumulates(w) ? VECTOR_MAC : VECTOR_OTHER]++;
        } else { /* scalar floating point; conversions to and from general registers */
            sum[lone || (bits(w, 31, 31) && bits(w, 28, 28)) ? SCALAR : VECTOR_OTHER]++;
        }
    } else {
        sum[group == 2 ? VECTOR_OTHER : SCALAR]++;
    }
}

static bool x86_accumulates(int map, int opcode)
{
    if (map == 1) {
        return opcode == 0xf5; /* PMADDWD */
    }
    return map == 2 && (opcode == 0x04 /* PMADDUBSW */ || (opcode >= 0x50 && opcode <= 0x53)
                        || ((opcode & 0x0f) >= 6 && opcode >= 0x96 && opcode <= 0xbf));
}

static void add_x86(const uint8_t *code, size_t size, uint64_t *sum)
{
    size_t at = 0;
    bool operand = false, repeated = false;
    int map = 0, opcode;

    while (at + 1 < size && memchr("\x66\xf2\xf3\x2e\x36\x3e\x26\x64\x65\xf0", code[at], 10)) {
        operand |= code[at] == 0x66;
        repeated |= code[at] == 0xf2 || code[at] == 0xf3;
        at++;
    }
    if (at + 1 < size && (code[at] & 0xf0) == 0x40) {
        at++;
    }
    if (at + 3 < size && code[at] == 0xc4) {
        map = code[at + 1] & 0x1f, opcode = code[at + 3];
    } else if (at + 2 < size && code[at] == 0xc5) {
        map = 1, opcode = code[at + 2];
    } else {
        bool two = code[at] == 0x0f && at + 1 < size;
        if (two && (code[at + 1] == 0x38 || code[at + 1] == 0x3a) && at + 2 < size) {
            map = code[at + 1] == 0x38 ? 2 : 3, opcode = code[at + 2];
            bool vector = !(map == 2 && opcode >= 0xf0); /* MOVBE, CRC32, ADX */
            sum[!vector ? SCALAR : x86_accumulates(map, opcode) ? VECTOR_MAC : VECTOR_OTHER]++;
        } else if (two) {
            opcode = code[at + 1];
            bool vector = (opcode >= 0x10 && opcode <= 0x17) || (opcode >= 0x28 && opcode <= 0x2f)
                || (opcode >= 0x50 && opcode <= 0x7f) || opcode == 0xc2 || opcode == 0xc6
                || (opcode >= 0xd0 && opcode != 0xff) || ((operand || repeated) && opcode == 0xc4);
            sum[opcode >= 0x80 && opcode <= 0x8f ? BRANCH : !vector ? SCALAR
                : x86_accumulates(1, opcode) ? VECTOR_MAC : VECTOR_OTHER]++;
        } else {
            int kind = at + 1 < size ? (code[at + 1] >> 3) & 7 : 0;
            opcode = code[at];
            sum[(opcode >= 0x70 && opcode <= 0x7f) || opcode == 0xe8 || opcode == 0xe9
                || opcode == 0xeb || opcode == 0xc3 || opcode == 0xc2
                || (opcode >= 0xe0 && opcode <= 0xe3)
                || (opcode == 0xff && kind >= 2 && kind <= 5) ? BRANCH : SCALAR]++;
        }
        return;
    }
    /* VEX; BMI instructions of general registers are no vectors */
    bool general = (map == 2 && opcode >= 0xf2) || (map == 3 && opcode == 0xf0);
    sum[general ? SCALAR : x86_accumulates(map, opcode) ? VECTOR_MAC : VECTOR_OTHER]++;
}

static void moved(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    counted[cpu % THREADS][qemu_plugin_mem_is_store(info) ? STORED : LOADED]
        += 1u << qemu_plugin_mem_size_shift(info);
    (void)address, (void)data;
}

static void executed(unsigned cpu, void *data)
{
    uint64_t *mine = counted[cpu % THREADS], *sum = data;

    for (int c = 0; c < COUNTERS; c++) {
        mine[c] += sum[c];
    }
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    uint64_t *sum = calloc(COUNTERS, sizeof *sum); /* lives as long as the block may */
    size_t n = qemu_plugin_tb_n_insns(tb);

    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint8_t *code = qemu_plugin_insn_data(insn);
        if (arm) {
            add_arm(code[0] | code[1] << 8 | code[2] << 16 | (uint32_t)code[3] << 24, sum);
        } else {
            add_x86(code, qemu_plugin_insn_size(insn), sum);
            qemu_plugin_register_vcpu_mem_cb(insn, moved, QEMU_PLUGIN_CB_NO_REGS,
                                             QEMU_PLUGIN_MEM_RW, NULL);
        }
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, sum);
    (void)id;
}

static void tell(const uint64_t *counters)
{
    for (int c = 0; c < COUNTERS; c++) {
        fprintf(out, "%" PRIu64 "%c", counters[c], c + 1 < COUNTERS ? ' ' : '\n');
    }
    fflush(out);
}

static void called(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b,
                   uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
    if (number == MARK) {
        tell(counted[cpu % THREADS]);
    }
    (void)id, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
}

static void ended(qemu_plugin_id_t id, void *data)
{
    uint64_t all[COUNTERS] = {0};

    for (int cpu = 0; cpu < THREADS; cpu++) {
        for (int c = 0; c < COUNTERS; c++) {
            all[c] += counted[cpu][c];
        }
    }
    tell(all);
    (void)id, (void)data;
}

__attribute__((visibility("default")))
int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    arm = !strcmp(info->target_name, "aarch64");
    if (argc != 1 || strncmp(argv[0], "out=", 4) || !(out = fopen(argv[0] + 4, "ae"))) {
        fprintf(stderr, "count: give out=PATH, a file that can be written\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
