// SPDX-License-Identifier: Apache-2.0
#undef skip  // cmocka's; the source has a function of that name
#include "pprof/stack/cfi.c"

#include <stdlib.h>

#include "base/attributes.h"
#include "pprof/stack/image.h"
#include "pprof/stack/machine.h"
#include "tests/unit/pprof/machine.h"

// An image made by hand: the header's table at its start, then .eh_frame, then "code" that is never
// run: only its addresses are asked for.
enum {
    IMAGE_BYTES = 2048,
    FRAMES_AT = 256,
    CODE_AT = 1536,
    CODE_BYTES = 256,
    FP = 6,
    SP = 7,
    RETURN = 16
};

static _Alignas(16) uint8_t bytes[IMAGE_BYTES];
static size_t frames_len;
static uint32_t entry_count;
static struct cfi_image made;

// A part of the image that a test breaks: where its fields lie.
static size_t common_at, function_at;

static int setup(void **state) {
    (void)state;
    memset(bytes, 0, sizeof bytes);
    frames_len = FRAMES_AT;
    entry_count = 0;
    made = (struct cfi_image){(uintptr_t)bytes, (uintptr_t)bytes + sizeof bytes, bytes};
    static const uint8_t header[] = {1, RELATIVE_TO_PC | ENCODED_AS_SDATA4, ENCODED_AS_UDATA4,
                                     RELATIVE_TO_HEADER | ENCODED_AS_SDATA4};
    memcpy(bytes, header, sizeof header);
    return 0;
}

static void put(const void *content, size_t len) {
    assert_true(frames_len + len <= CODE_AT);
    memcpy(bytes + frames_len, content, len);
    frames_len += len;
}

static void put_word(uint32_t word) {
    put(&word, sizeof word);
}

static void set_word(size_t at, uint32_t word) {
    memcpy(bytes + at, &word, sizeof word);
}

static size_t begin_entry(void) {
    size_t at = frames_len;
    put_word(0);
    return at;
}

static void end_entry(size_t at) {
    set_word(at, (uint32_t)(frames_len - at - 4));
}

struct instructions {
    const uint8_t *bytes;
    size_t len;
};

#define INSTRUCTIONS(...)                                                                          \
    ((struct instructions){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})

// What gcc begins every function with: rsp+8; the return address at CFA-8.
#define USUAL INSTRUCTIONS(CFA_DEF_CFA, SP, 8, CFA_OFFSET | RETURN, 1)

static void add_common_of(uint8_t code_alignment, uint8_t return_register,
                          struct instructions initial) {
    common_at = begin_entry();
    put_word(0);
    // version, "zR", code alignment, data alignment -8, return address register, 1 byte: encoding
    const uint8_t head[] = {1,
                            'z',
                            'R',
                            0,
                            code_alignment,
                            0x78,
                            return_register,
                            1,
                            RELATIVE_TO_PC | ENCODED_AS_SDATA4};
    put(head, sizeof head);
    put(initial.bytes, initial.len);
    end_entry(common_at);
}

static void add_common(struct instructions initial) {
    add_common_of(1, RETURN, initial);
}

static uintptr_t code(size_t offset) {
    return (uintptr_t)bytes + CODE_AT + offset;
}

// A function of the common entry made last, and its place in the header's table.
static void add_function(size_t offset, uint32_t size, struct instructions instructions) {
    function_at = begin_entry();
    put_word((uint32_t)(frames_len - common_at));
    put_word((uint32_t)(CODE_AT + offset - frames_len));
    put_word(size);
    put("\0", 1);  // no augmentation data
    put(instructions.bytes, instructions.len);
    end_entry(function_at);
    set_word(12 + entry_count * 8, (uint32_t)(CODE_AT + offset));
    set_word(16 + entry_count * 8, (uint32_t)function_at);
    set_word(8, ++entry_count);
}

static enum status find(size_t offset, struct cfi_row *row) {
    *row = (struct cfi_row){99, 99, 99, 99};
    return cfi_find_row(&made, code(offset), row);
}

static void assert_row(size_t offset, uint32_t reg, int64_t cfa_offset) {
    struct cfi_row row;
    assert_int_equal(find(offset, &row), STATUS_OK);
    assert_int_equal(row.reg, reg);
    assert_int_equal(row.offset, cfa_offset);
}

// A failure leaves the result alone.
static void assert_no_row(size_t offset, enum status expected) {
    struct cfi_row row;
    assert_int_equal(find(offset, &row), expected);
    assert_int_equal(row.reg, 99);
    assert_int_equal(row.offset, 99);
}

static void make(struct instructions instructions) {
    setup(NULL);
    add_common(USUAL);
    add_function(0, 64, instructions);
}

static void test_cfi__the_usual_prologue_and_epilogue(void **state) {
    (void)state;
    make(INSTRUCTIONS(CFA_ADVANCE_LOC | 1, CFA_DEF_CFA_OFFSET, 16, CFA_OFFSET | FP, 2,
                      CFA_ADVANCE_LOC | 3, CFA_DEF_CFA_REGISTER, FP, CFA_ADVANCE_LOC | 40,
                      CFA_DEF_CFA, SP, 8, CFA_NOP, CFA_NOP));
    assert_row(0, SP, 8);
    assert_row(1, SP, 16);
    assert_row(3, SP, 16);
    assert_row(4, FP, 16);
    assert_row(43, FP, 16);
    assert_row(44, SP, 8);
    assert_row(63, SP, 8);
}

static void test_cfi__locations_advance_by_one_two_or_four_bytes_of_operand(void **state) {
    (void)state;
    make(INSTRUCTIONS(CFA_ADVANCE_LOC1, 2, CFA_DEF_CFA_OFFSET, 16, CFA_ADVANCE_LOC2, 3, 0,
                      CFA_DEF_CFA_OFFSET, 24, CFA_ADVANCE_LOC4, 4, 0, 0, 0, CFA_DEF_CFA_OFFSET,
                      32));
    assert_row(1, SP, 8);
    assert_row(2, SP, 16);
    assert_row(4, SP, 16);
    assert_row(5, SP, 24);
    assert_row(8, SP, 24);
    assert_row(9, SP, 32);
}

// Would catch: operands of an instruction that is passed over read as instructions.
static void test_cfi__instructions_about_other_registers_are_stepped_over(void **state) {
    (void)state;
    const struct instructions rows[] = {
        INSTRUCTIONS(CFA_NOP),
        INSTRUCTIONS(CFA_OFFSET | 3, CFA_DEF_CFA_OFFSET),
        INSTRUCTIONS(CFA_RESTORE | 3),
        INSTRUCTIONS(CFA_OFFSET_EXTENDED, 0x8e, 0, CFA_DEF_CFA_OFFSET),
        INSTRUCTIONS(CFA_RESTORE_EXTENDED, CFA_DEF_CFA_OFFSET),
        INSTRUCTIONS(CFA_UNDEFINED, CFA_DEF_CFA_OFFSET),
        INSTRUCTIONS(CFA_AARCH64_NEGATE_RA_STATE),
        INSTRUCTIONS(CFA_SAME_VALUE, CFA_DEF_CFA_OFFSET),
        INSTRUCTIONS(CFA_REGISTER, 3, CFA_DEF_CFA_OFFSET),
        INSTRUCTIONS(CFA_EXPRESSION, 3, 2, CFA_DEF_CFA_OFFSET, CFA_DEF_CFA),
        INSTRUCTIONS(CFA_VAL_EXPRESSION, 3, 1, CFA_DEF_CFA_OFFSET),
        INSTRUCTIONS(CFA_OFFSET_EXTENDED_SF, 3, 0xff, 0x7f),
        INSTRUCTIONS(CFA_VAL_OFFSET, 3, 0x80, 0x01),
        INSTRUCTIONS(CFA_VAL_OFFSET_SF, 3, 0x7f),
        INSTRUCTIONS(CFA_GNU_ARGS_SIZE, 0x80, 0x01),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t whole[32];
        size_t len = rows[i].len;
        memcpy(whole, rows[i].bytes, len);
        static const uint8_t then[] = {CFA_ADVANCE_LOC | 4, CFA_DEF_CFA_OFFSET, 24};
        memcpy(whole + len, then, sizeof then);
        make((struct instructions){whole, len + sizeof then});
        assert_row(3, SP, 8);
        assert_row(4, SP, 24);
    }
}

static void assert_caller(size_t offset, enum cfi_caller caller, int64_t caller_offset) {
    struct cfi_row row;
    assert_int_equal(find(offset, &row), STATUS_OK);
    assert_int_equal(row.caller, caller);
    assert_int_equal(row.caller_offset, caller_offset);
}

static void test_cfi__each_instruction_that_places_the_caller_is_heard(void **state) {
    (void)state;
    const struct {
        struct instructions instructions;
        enum cfi_caller caller;
        int64_t offset;
    } rows[] = {
        {INSTRUCTIONS(CFA_NOP), CFI_CALLER_SAVED, -8},  // as the common entry has it
        {INSTRUCTIONS(CFA_OFFSET | RETURN, 3), CFI_CALLER_SAVED, -24},
        {INSTRUCTIONS(CFA_OFFSET_EXTENDED, RETURN, 0x80, 1), CFI_CALLER_SAVED, -1024},
        {INSTRUCTIONS(CFA_OFFSET_EXTENDED_SF, RETURN, 0x7e), CFI_CALLER_SAVED, 16},
        {INSTRUCTIONS(CFA_SAME_VALUE, RETURN), CFI_CALLER_IN_REGISTER, 0},
        {INSTRUCTIONS(CFA_UNDEFINED, RETURN), CFI_CALLER_UNKNOWN, 0},
        {INSTRUCTIONS(CFA_REGISTER, RETURN, 3), CFI_CALLER_UNKNOWN, 0},
        {INSTRUCTIONS(CFA_VAL_OFFSET, RETURN, 3), CFI_CALLER_UNKNOWN, 0},
        {INSTRUCTIONS(CFA_VAL_OFFSET_SF, RETURN, 3), CFI_CALLER_UNKNOWN, 0},
        {INSTRUCTIONS(CFA_EXPRESSION, RETURN, 1, 0), CFI_CALLER_UNKNOWN, 0},
        {INSTRUCTIONS(CFA_VAL_EXPRESSION, RETURN, 1, 0), CFI_CALLER_UNKNOWN, 0},
        {INSTRUCTIONS(CFA_UNDEFINED, RETURN, CFA_RESTORE | RETURN), CFI_CALLER_SAVED, -8},
        {INSTRUCTIONS(CFA_UNDEFINED, RETURN, CFA_RESTORE_EXTENDED, RETURN), CFI_CALLER_SAVED, -8},
        {INSTRUCTIONS(CFA_REMEMBER_STATE, CFA_UNDEFINED, RETURN, CFA_RESTORE_STATE),
         CFI_CALLER_SAVED, -8},
        {INSTRUCTIONS(CFA_UNDEFINED, 3, CFA_OFFSET | 4, 9), CFI_CALLER_SAVED, -8},  // others
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        make(rows[i].instructions);
        assert_caller(0, rows[i].caller, rows[i].offset);
    }
}

// What gcc writes for AArch64: `sub sp` of 480 bytes, `stp x29, x30`, the way back, `ret`. Its
// instructions are 4 bytes, and a call leaves the return address in x30.
static void test_cfi__on_aarch64_the_caller_is_in_x30_then_on_the_stack(void **state) {
    (void)state;
    enum { X29 = 29, X30 = 30, X_SP = 31 };
    add_common_of(4, X30, INSTRUCTIONS(CFA_DEF_CFA, X_SP, 0));
    add_function(0, 64,
                 INSTRUCTIONS(CFA_AARCH64_NEGATE_RA_STATE, CFA_ADVANCE_LOC | 1, CFA_DEF_CFA_OFFSET,
                              0xe0, 0x03, CFA_ADVANCE_LOC | 1, CFA_OFFSET | X29, 60,
                              CFA_OFFSET | X30, 59, CFA_ADVANCE_LOC | 8, CFA_RESTORE | X30,
                              CFA_RESTORE | X29, CFA_ADVANCE_LOC | 1, CFA_DEF_CFA_OFFSET, 0));
    assert_row(0, X_SP, 0);
    assert_caller(0, CFI_CALLER_IN_REGISTER, 0);
    assert_row(4, X_SP, 480);
    assert_caller(4, CFI_CALLER_IN_REGISTER, 0);
    assert_row(8, X_SP, 480);
    assert_caller(8, CFI_CALLER_SAVED, -472);
    assert_caller(39, CFI_CALLER_SAVED, -472);
    assert_row(40, X_SP, 480);
    assert_caller(40, CFI_CALLER_IN_REGISTER, 0);
    assert_row(44, X_SP, 0);
    assert_caller(63, CFI_CALLER_IN_REGISTER, 0);
}

static void test_cfi__states_are_remembered_and_restored_in_turn(void **state) {
    (void)state;
    make(INSTRUCTIONS(CFA_ADVANCE_LOC | 1, CFA_DEF_CFA, FP, 16, CFA_REMEMBER_STATE,
                      CFA_ADVANCE_LOC | 1, CFA_DEF_CFA_OFFSET, 32, CFA_REMEMBER_STATE,
                      CFA_ADVANCE_LOC | 1, CFA_DEF_CFA, SP, 8, CFA_ADVANCE_LOC | 1,
                      CFA_RESTORE_STATE, CFA_ADVANCE_LOC | 1, CFA_RESTORE_STATE));
    assert_row(1, FP, 16);
    assert_row(2, FP, 32);
    assert_row(3, SP, 8);
    assert_row(4, FP, 32);
    assert_row(5, FP, 16);
}

static void test_cfi__signed_factored_forms_are_scaled_by_the_data_alignment(void **state) {
    (void)state;
    make(INSTRUCTIONS(CFA_DEF_CFA_SF, FP, 0x7e, CFA_ADVANCE_LOC | 1, CFA_DEF_CFA_OFFSET_SF, 0x7d,
                      CFA_ADVANCE_LOC | 1, CFA_DEF_CFA_OFFSET_SF, 0x02));
    assert_row(0, FP, 16);
    assert_row(1, FP, 24);
    assert_row(2, FP, -16);
}

static void test_cfi__numbers_may_take_many_bytes(void **state) {
    (void)state;
    make(INSTRUCTIONS(CFA_DEF_CFA_OFFSET, 0x80, 0x80, 0x04, CFA_ADVANCE_LOC | 1, CFA_DEF_CFA, 0x87,
                      0x00, 0x88, 0x80, 0x00));
    assert_row(0, SP, 65536);
    assert_row(1, SP, 8);
    // Ten bytes hold 64 bits, an eleventh cannot be.
    make(INSTRUCTIONS(CFA_DEF_CFA_OFFSET, 0x90, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                      0x00));
    assert_row(0, SP, 16);
    make(INSTRUCTIONS(CFA_DEF_CFA_OFFSET, 0x90, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                      0x80, 0x00));
    assert_no_row(0, STATUS_MALFORMED);
}

static void test_cfi__leb128_edges(void **state) {
    (void)state;
    static const struct {
        uint8_t bytes[11];
        int64_t number;
    } rows[] = {
        {{0x00}, 0},
        {{0x02}, 2},
        {{0x7e}, -2},
        {{0x3f}, 63},
        {{0x40}, -64},
        {{0xff, 0x00}, 127},
        {{0x81, 0x7f}, -127},
        {{0x80, 0x7f}, -128},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00}, INT64_MAX},
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f}, INT64_MIN},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct cursor cursor = {rows[i].bytes, rows[i].bytes + sizeof rows[i].bytes, false};
        assert_true(read_sleb(&cursor) == rows[i].number);
        assert_false(cursor.is_bad);
        struct cursor unsigned_cursor = {rows[i].bytes, rows[i].bytes + sizeof rows[i].bytes,
                                         false};
        read_uleb(&unsigned_cursor);
        assert_ptr_equal(cursor.at, unsigned_cursor.at);
    }
    static const uint8_t endless[12] = {[0 ... 11] = 0x80};
    struct cursor cursor = {endless, endless + sizeof endless, false};
    read_uleb(&cursor);
    assert_true(cursor.is_bad);
    cursor = (struct cursor){endless, endless + 3, false};
    read_sleb(&cursor);
    assert_true(cursor.is_bad);
    assert_ptr_equal(cursor.at, cursor.end);
}

// A signal frame or a PLT: the address is computed, which is not done here.
static void test_cfi__an_expression_is_unsupported_where_it_is_in_force(void **state) {
    (void)state;
    make(INSTRUCTIONS(CFA_ADVANCE_LOC | 2, CFA_DEF_CFA_EXPRESSION, 2, 0x77, 8, CFA_ADVANCE_LOC | 2,
                      CFA_DEF_CFA, SP, 16));
    assert_row(0, SP, 8);
    assert_no_row(2, STATUS_UNSUPPORTED);
    assert_row(4, SP, 16);
}

static void test_cfi__set_loc_names_the_place(void **state) {
    (void)state;
    add_common(USUAL);
    // The operand is relative to its own place.
    uint8_t set_loc[] = {CFA_SET_LOC, 0, 0, 0, 0, CFA_DEF_CFA_OFFSET, 24};
    // head of a function's entry: length, back pointer, start, size, augmentation
    uint32_t distance = (uint32_t)(CODE_AT + 10 - (frames_len + 17 + 1));
    memcpy(set_loc + 1, &distance, sizeof distance);
    add_function(0, 64, (struct instructions){set_loc, sizeof set_loc});
    assert_row(9, SP, 8);
    assert_row(10, SP, 24);
}

static void test_cfi__bad_instructions_are_malformed(void **state) {
    (void)state;
    const struct instructions rows[] = {
        INSTRUCTIONS(0x1d),               // no such instruction
        INSTRUCTIONS(0x3f),               // none either
        INSTRUCTIONS(CFA_RESTORE_STATE),  // nothing was remembered
        INSTRUCTIONS(CFA_DEF_CFA, SP),    // operands missing
        INSTRUCTIONS(CFA_DEF_CFA_OFFSET),
        INSTRUCTIONS(CFA_DEF_CFA_OFFSET, 0x80),  // a number without an end
        INSTRUCTIONS(CFA_OFFSET | 3),
        INSTRUCTIONS(CFA_ADVANCE_LOC4, 0, 0, 0),
        INSTRUCTIONS(CFA_DEF_CFA_EXPRESSION, 200, 0),  // longer than what is left
        INSTRUCTIONS(CFA_EXPRESSION, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
        INSTRUCTIONS(CFA_REMEMBER_STATE, CFA_REMEMBER_STATE, CFA_REMEMBER_STATE, CFA_REMEMBER_STATE,
                     CFA_REMEMBER_STATE, CFA_REMEMBER_STATE, CFA_REMEMBER_STATE, CFA_REMEMBER_STATE,
                     CFA_REMEMBER_STATE),  // deeper than eight
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        make(rows[i]);
        assert_no_row(0, STATUS_MALFORMED);
    }
    // What comes behind the row that is asked for does not matter.
    make(INSTRUCTIONS(CFA_ADVANCE_LOC | 8, 0x1d));
    assert_row(7, SP, 8);
    assert_no_row(8, STATUS_MALFORMED);
}

// Would catch: a search that is off by one at either end, or takes the gap for the function before.
static void test_cfi__the_right_one_of_many_functions_is_found(void **state) {
    (void)state;
    static const uint8_t offsets[] = {8, 16, 24, 32, 40, 48, 56};
    for (size_t count = 1; count <= COUNT_OF(offsets); count++) {
        setup(NULL);
        add_common(USUAL);
        for (size_t i = 0; i < count; i++) {  // each 20 bytes long, then a gap of 12
            add_function(32 * i, 20, INSTRUCTIONS(CFA_DEF_CFA_OFFSET, offsets[i]));
        }
        for (size_t i = 0; i < count; i++) {
            assert_row(32 * i, SP, offsets[i]);
            assert_row(32 * i + 19, SP, offsets[i]);
            assert_no_row(32 * i + 20, STATUS_NOT_FOUND);
        }
        struct cfi_row row;
        assert_int_equal(cfi_find_row(&made, code(0) - 1, &row), STATUS_NOT_FOUND);
    }
}

static void test_cfi__addresses_outside_the_image_are_not_found(void **state) {
    (void)state;
    make(USUAL);
    struct cfi_row row;
    const uintptr_t outside[] = {0, made.start - 1, made.end, UINTPTR_MAX};
    for (size_t i = 0; i < COUNT_OF(outside); i++) {
        assert_int_equal(cfi_find_row(&made, outside[i], &row), STATUS_NOT_FOUND);
    }
    made.eh_frame_hdr = NULL;
    assert_no_row(0, STATUS_NOT_FOUND);
}

static void test_cfi__version_3_and_other_augmentations_are_read(void **state) {
    (void)state;
    common_at = begin_entry();
    put_word(0);
    // "zPLR": a personality routine (8 bytes), where its data is encoded, then the pointers.
    static const uint8_t head[] = {
        3, 'z',  'P',  'L',  'R',  0,
        1, 0x78, 0x90, 0x00, 7,    RELATIVE_TO_PC | ENCODED_AS_SDATA4 | 0x80,
        1, 2,    3,    4,    0xff, RELATIVE_TO_PC | ENCODED_AS_SDATA4};
    put(head, sizeof head);
    static const uint8_t initial[] = {CFA_DEF_CFA, SP, 8};
    put(initial, sizeof initial);
    end_entry(common_at);
    add_function(0, 64, INSTRUCTIONS(CFA_ADVANCE_LOC | 1, CFA_DEF_CFA_OFFSET, 16));
    assert_row(0, SP, 8);
    assert_row(1, SP, 16);
}

static void test_cfi__addresses_may_be_encoded_in_other_ways(void **state) {
    (void)state;
    static const uint8_t encodings[] = {ENCODED_AS_POINTER, ENCODED_AS_UDATA8, ENCODED_AS_SDATA8,
                                        RELATIVE_TO_PC | ENCODED_AS_SDATA8,
                                        RELATIVE_TO_HEADER | ENCODED_AS_UDATA8};
    for (size_t i = 0; i < COUNT_OF(encodings); i++) {
        setup(NULL);
        add_common(USUAL);
        bytes[common_at + 16] = encodings[i];
        function_at = begin_entry();
        put_word((uint32_t)(frames_len - common_at));
        uint64_t start = code(0);
        if ((encodings[i] & 0x70) == RELATIVE_TO_PC) start -= (uintptr_t)bytes + frames_len;
        if ((encodings[i] & 0x70) == RELATIVE_TO_HEADER) start -= (uintptr_t)bytes;
        uint64_t size = 64;
        put(&start, 8);
        put(&size, 8);
        put("\0", 1);
        end_entry(function_at);
        set_word(12, CODE_AT);
        set_word(16, (uint32_t)function_at);
        set_word(8, 1);
        assert_row(0, SP, 8);
        assert_row(63, SP, 8);
        assert_no_row(64, STATUS_NOT_FOUND);
    }
}

// Each shape that is broken in one place; found by its name in a failure's line.
struct breakage {
    const char *name;
    size_t at;  // 0: in the header; else added to where common or function begins
    enum { IN_HEADER, IN_COMMON, IN_FUNCTION } part;
    uint32_t word;
    uint32_t size;  // of the word that is written
};

static void test_cfi__broken_tables_and_entries_give_no_row(void **state) {
    (void)state;
    static const struct breakage rows[] = {
        {"header version 2", 0, IN_HEADER, 2, 1},
        {"frame pointer omitted", 1, IN_HEADER, 0xff, 1},
        {"count omitted", 2, IN_HEADER, 0xff, 1},
        {"table omitted", 3, IN_HEADER, 0xff, 1},
        {"table of 8-byte entries", 3, IN_HEADER, RELATIVE_TO_HEADER | ENCODED_AS_SDATA8, 1},
        {"no entries", 8, IN_HEADER, 0, 4},
        {"more entries than bytes", 8, IN_HEADER, 1000, 4},
        {"as many entries as there are numbers", 8, IN_HEADER, UINT32_MAX, 4},
        {"function before the image", 16, IN_HEADER, (uint32_t)-4096, 4},
        {"function behind the image", 16, IN_HEADER, IMAGE_BYTES, 4},
        {"function at the last byte", 16, IN_HEADER, IMAGE_BYTES - 1, 4},
        {"function is the common entry", 16, IN_HEADER, FRAMES_AT, 4},
        {"function of length 0", 0, IN_FUNCTION, 0, 4},
        {"function of 64-bit length", 0, IN_FUNCTION, UINT32_MAX, 4},
        {"function longer than the image", 0, IN_FUNCTION, IMAGE_BYTES, 4},
        {"function too short for its head", 0, IN_FUNCTION, 10, 4},
        {"common entry before the image", 4, IN_FUNCTION, 1 << 20, 4},
        {"common entry is the function itself", 4, IN_FUNCTION, 4, 4},
        {"common entry behind", 4, IN_FUNCTION, (uint32_t)-256, 4},
        {"size negative", 12, IN_FUNCTION, (uint32_t)-64, 4},
        {"size 0", 12, IN_FUNCTION, 0, 4},
        {"augmentation data longer than the entry", 16, IN_FUNCTION, 0x7f, 1},
        {"common entry of length 0", 0, IN_COMMON, 0, 4},
        {"common entry with an id", 4, IN_COMMON, 7, 4},
        {"version 2", 8, IN_COMMON, 2, 1},
        {"version 4", 8, IN_COMMON, 4, 1},
        {"common entry cut in its head", 0, IN_COMMON, 7, 4},
        {"augmentation text without an end", 0, IN_COMMON, 6, 4},
        {"augmentation data of 127 bytes", 15, IN_COMMON, 0x7f, 1},
        {"no augmentation data", 15, IN_COMMON, 0, 1},
        {"encoding omitted", 16, IN_COMMON, 0xff, 1},
        {"encoding relative to text", 16, IN_COMMON, 0x2b, 1},
        {"encoding of LEB128", 16, IN_COMMON, 0x01, 1},
        {"first instruction unknown", 17, IN_COMMON, 0x3f, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        make(INSTRUCTIONS(CFA_ADVANCE_LOC | 1, CFA_DEF_CFA_OFFSET, 16));
        size_t base = rows[i].part == IN_COMMON     ? common_at
                      : rows[i].part == IN_FUNCTION ? function_at
                                                    : 0;
        memcpy(bytes + base + rows[i].at, &rows[i].word, rows[i].size);
        struct cfi_row row;
        enum status status = find(0, &row);
        if (status == STATUS_OK) print_error("%s\n", rows[i].name);
        assert_int_not_equal(status, STATUS_OK);
        assert_int_equal(row.reg, 99);
    }
}

// Would catch: a read behind the image's end, wherever it ends.
static void test_cfi__an_image_that_is_cut_anywhere_is_not_read_past_its_end(void **state) {
    (void)state;
    make(INSTRUCTIONS(CFA_ADVANCE_LOC | 1, CFA_DEF_CFA_OFFSET, 16));
    const struct cfi_image whole = made;
    for (size_t len = 1; len < frames_len; len++) {
        uint8_t *exact = malloc(len);
        assert_non_null(exact);
        memcpy(exact, bytes, len);
        struct cfi_row row;
        made = (struct cfi_image){(uintptr_t)exact, (uintptr_t)exact + len, exact};
        for (size_t at = 0; at < len; at += 7) {
            enum status status = cfi_find_row(&made, (uintptr_t)exact + at, &row);
            assert_int_not_equal(status, STATUS_OK);
        }
        free(exact);
    }
    made = whole;
    assert_row(1, SP, 16);
}

// An address in the middle of a function that calls another and so has a frame.
static NOINLINE uintptr_t framed_place(void) {
    images_get();
    uintptr_t here;
    __asm__ volatile(NEXT_ADDRESS : "=r"(here));
    images_get();
    return here;
}

// The unwind table of the program itself, at every byte of its code: what gcc, the assembler and
// the linker really write is understood, and says what the machine's calling convention says.
static void test_cfi__every_function_of_this_program_begins_as_a_call_leaves_it(void **state) {
    (void)state;
    const struct cfi_image *image = &images_get()->list[0].cfi;
    uintptr_t header = (uintptr_t)image->eh_frame_hdr;
    uint32_t count;
    memcpy(&count, image->eh_frame_hdr + 8, sizeof count);
    assert_true(count > 100);
    size_t usual = 0;
    for (uint32_t i = 0; i < count; i++) {
        int32_t offset;
        memcpy(&offset, image->eh_frame_hdr + 12 + i * sizeof(struct table_entry), sizeof offset);
        uintptr_t start = header + (uintptr_t)(intptr_t)offset;
        struct function function;
        assert_int_equal(find_function(image, start, &function), STATUS_OK);
        assert_int_equal(function.start, start);
        struct cfi_row row = {0};
        enum status status = STATUS_OK;
        for (uintptr_t pc = start; pc < function.end; pc++) {
            status = cfi_find_row(image, pc, &row);
            assert_true(status == STATUS_OK || status == STATUS_UNSUPPORTED);
            if (pc != start) continue;
            if (status == STATUS_OK && row.reg == DWARF_STACK_POINTER &&
                row.offset == ENTRY_OFFSET) {
                usual++;
            }
        }
    }
    // The others: second halves of functions that gcc split, the return of a signal, a PLT.
    assert_in_range(usual, count - count / 4, count);
}

static void test_cfi__a_function_with_a_frame_has_its_caller_on_the_stack(void **state) {
    (void)state;
    const struct cfi_image *image = &images_get()->list[0].cfi;
    struct cfi_row row;
    assert_int_equal(cfi_find_row(image, (uintptr_t)framed_place, &row), STATUS_OK);
    assert_int_equal(row.reg, DWARF_STACK_POINTER);
    assert_int_equal(row.offset, ENTRY_OFFSET);
    assert_int_equal(row.caller == CFI_CALLER_IN_REGISTER, CALLER_AT_START == LEAF_CALLER_IN_LINK);
    assert_int_equal(cfi_find_row(image, framed_place(), &row), STATUS_OK);
    assert_int_equal(row.caller, CFI_CALLER_SAVED);
    assert_true(row.offset > ENTRY_OFFSET);
}
