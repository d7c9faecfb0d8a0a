// SPDX-License-Identifier: Apache-2.0
#include "pprof/stack/cfi.h"

// Pointer encodings, LSB core 5.0 section 10.5.1.
enum {
    ENCODED_AS_POINTER = 0x00,
    ENCODED_AS_UDATA4 = 0x03,
    ENCODED_AS_UDATA8 = 0x04,
    ENCODED_AS_SDATA4 = 0x0b,
    ENCODED_AS_SDATA8 = 0x0c,
    RELATIVE_TO_PC = 0x10,
    RELATIVE_TO_HEADER = 0x30,
};

// Call frame instructions, DWARF 5 table 7.29. The first three carry an operand in their low bits.
enum {
    CFA_ADVANCE_LOC = 0x40,
    CFA_OFFSET = 0x80,
    CFA_RESTORE = 0xc0,
    CFA_NOP = 0x00,
    CFA_SET_LOC = 0x01,
    CFA_ADVANCE_LOC1 = 0x02,
    CFA_ADVANCE_LOC2 = 0x03,
    CFA_ADVANCE_LOC4 = 0x04,
    CFA_OFFSET_EXTENDED = 0x05,
    CFA_RESTORE_EXTENDED = 0x06,
    CFA_UNDEFINED = 0x07,
    CFA_SAME_VALUE = 0x08,
    CFA_REGISTER = 0x09,
    CFA_REMEMBER_STATE = 0x0a,
    CFA_RESTORE_STATE = 0x0b,
    CFA_DEF_CFA = 0x0c,
    CFA_DEF_CFA_REGISTER = 0x0d,
    CFA_DEF_CFA_OFFSET = 0x0e,
    CFA_DEF_CFA_EXPRESSION = 0x0f,
    CFA_EXPRESSION = 0x10,
    CFA_OFFSET_EXTENDED_SF = 0x11,
    CFA_DEF_CFA_SF = 0x12,
    CFA_DEF_CFA_OFFSET_SF = 0x13,
    CFA_VAL_OFFSET = 0x14,
    CFA_VAL_OFFSET_SF = 0x15,
    CFA_VAL_EXPRESSION = 0x16,
    CFA_AARCH64_NEGATE_RA_STATE = 0x2d,  // DWARF for the Arm 64-bit Architecture, section 4.4
    CFA_GNU_ARGS_SIZE = 0x2e,            // LSB core 5.0 section 10.5.2
};

enum { REMEMBERED_STATES = 8, IS_EXPRESSION = UINT32_MAX };

// A reading position; past the end everything reads as zero and `is_bad` stays set.
struct cursor {
    const uint8_t *at, *end;
    bool is_bad;
};

struct table_entry {
    int32_t pc, fde;  // relative to the start of .eh_frame_hdr
};

// What the common entry (CIE) says for its functions.
struct common {
    uint64_t code_alignment;
    int64_t data_alignment;
    uint64_t return_register;
    uint8_t pc_encoding;
    bool has_augmentation_data;
    struct cursor instructions;
};

struct function {
    struct common common;
    uintptr_t start, end;
    struct cursor instructions;
};

struct machine_state {
    struct cfi_row row;
    struct cfi_row initial;  // after the common entry's instructions
    struct cfi_row remembered[REMEMBERED_STATES];
    int remembered_count;
    uintptr_t location;
};

static uint64_t read_fixed(struct cursor *cursor, size_t size) {
    uint64_t value = 0;
    if ((size_t)(cursor->end - cursor->at) < size) {
        cursor->is_bad = true;
        cursor->at = cursor->end;
        return 0;
    }
    memcpy(&value, cursor->at, size);  // little-endian, as both machines that we run on
    cursor->at += size;
    return value;
}

static uint64_t read_uleb(struct cursor *cursor) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = (uint8_t)read_fixed(cursor, 1);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) return value;
    }
    cursor->is_bad = true;
    return 0;
}

static int64_t read_sleb(struct cursor *cursor) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = (uint8_t)read_fixed(cursor, 1);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) != 0) continue;
        if ((byte & 0x40) != 0 && shift + 7 < 64) value |= UINT64_MAX << (shift + 7);
        return (int64_t)value;
    }
    cursor->is_bad = true;
    return 0;
}

static void skip(struct cursor *cursor, uint64_t count) {
    if ((uint64_t)(cursor->end - cursor->at) < count) {
        cursor->is_bad = true;
        cursor->at = cursor->end;
        return;
    }
    cursor->at += count;
}

static uintptr_t read_pointer(struct cursor *cursor, uint8_t encoding, uintptr_t header) {
    uintptr_t position = (uintptr_t)cursor->at;
    uint64_t value = 0;
    switch (encoding & 0x0f) {
    case ENCODED_AS_POINTER:
    case ENCODED_AS_UDATA8:
    case ENCODED_AS_SDATA8: value = read_fixed(cursor, 8); break;
    case ENCODED_AS_UDATA4: value = read_fixed(cursor, 4); break;
    case ENCODED_AS_SDATA4: value = (uint64_t)(int32_t)read_fixed(cursor, 4); break;
    default: cursor->is_bad = true; return 0;
    }
    switch (encoding & 0x70) {
    case 0: return value;
    case RELATIVE_TO_PC: return position + value;
    case RELATIVE_TO_HEADER: return header + value;
    default: cursor->is_bad = true; return 0;
    }
}

static struct cursor cursor_at(const struct cfi_image *image, uintptr_t address) {
    if (address < image->start || address >= image->end) return (struct cursor){.is_bad = true};
    return (struct cursor){(const uint8_t *)address, (const uint8_t *)image->end, false};
}

// The content of one entry of .eh_frame, behind its length word.
static struct cursor open_entry(const struct cfi_image *image, uintptr_t address) {
    struct cursor cursor = cursor_at(image, address);
    uint32_t length = (uint32_t)read_fixed(&cursor, 4);
    // 0 ends the section; 0xffffffff would begin a 64-bit entry, which nobody writes here.
    if (length == 0 || length == UINT32_MAX || length > (size_t)(cursor.end - cursor.at)) {
        cursor.is_bad = true;
        return cursor;
    }
    cursor.end = cursor.at + length;
    return cursor;
}

static enum status read_common(const struct cfi_image *image, uintptr_t address,
                               struct common *ret) {
    struct cursor cursor = open_entry(image, address);
    if (read_fixed(&cursor, 4) != 0) return STATUS_MALFORMED;  // a CIE has id 0
    uint8_t version = (uint8_t)read_fixed(&cursor, 1);
    if (version != 1 && version != 3) return STATUS_UNSUPPORTED;
    const char *augmentation = (const char *)cursor.at;
    while (read_fixed(&cursor, 1) != 0) {}
    if (cursor.is_bad) return STATUS_TRUNCATED;
    struct common common = {.code_alignment = read_uleb(&cursor),
                            .data_alignment = read_sleb(&cursor)};
    common.return_register = version == 1 ? read_fixed(&cursor, 1) : read_uleb(&cursor);
    if (*augmentation == 'z') {
        common.has_augmentation_data = true;
        uint64_t len = read_uleb(&cursor);
        struct cursor data = cursor;
        skip(&cursor, len);
        data.end = cursor.at;
        for (const char *letter = augmentation + 1; *letter != '\0'; letter++) {
            uint8_t encoding = 0;
            if (*letter == 'R' || *letter == 'P' || *letter == 'L') {
                encoding = (uint8_t)read_fixed(&data, 1);
            }
            if (*letter == 'R') common.pc_encoding = encoding;
            if (*letter == 'P') read_pointer(&data, encoding, 0);
        }
        if (data.is_bad) return STATUS_MALFORMED;
    }
    if (cursor.is_bad) return STATUS_TRUNCATED;
    common.instructions = cursor;
    *ret = common;
    return STATUS_OK;
}

static enum status read_function(const struct cfi_image *image, uintptr_t address,
                                 struct function *ret) {
    struct cursor cursor = open_entry(image, address);
    uintptr_t id_position = (uintptr_t)cursor.at;
    uint32_t distance = (uint32_t)read_fixed(&cursor, 4);
    if (cursor.is_bad || distance == 0) return STATUS_MALFORMED;
    struct function function = {0};
    // The CIE pointer counts back from its own position.
    enum status status = read_common(image, id_position - distance, &function.common);
    if (status != STATUS_OK) return status;
    uint8_t encoding = function.common.pc_encoding;
    function.start = read_pointer(&cursor, encoding, (uintptr_t)image->eh_frame_hdr);
    function.end = function.start + read_pointer(&cursor, encoding & 0x0f, 0);
    if (function.common.has_augmentation_data) skip(&cursor, read_uleb(&cursor));
    if (cursor.is_bad) return STATUS_TRUNCATED;
    function.instructions = cursor;
    *ret = function;
    return STATUS_OK;
}

// The last entry of the sorted table that begins at or before pc.
static enum status find_function(const struct cfi_image *image, uintptr_t pc,
                                 struct function *ret) {
    uintptr_t header = (uintptr_t)image->eh_frame_hdr;
    struct cursor cursor = cursor_at(image, header);
    uint8_t version = (uint8_t)read_fixed(&cursor, 1);
    uint8_t frame_encoding = (uint8_t)read_fixed(&cursor, 1);
    uint8_t count_encoding = (uint8_t)read_fixed(&cursor, 1);
    uint8_t table_encoding = (uint8_t)read_fixed(&cursor, 1);
    if (cursor.is_bad || version != 1) return STATUS_MALFORMED;
    if (table_encoding != (RELATIVE_TO_HEADER | ENCODED_AS_SDATA4)) return STATUS_UNSUPPORTED;
    read_pointer(&cursor, frame_encoding, header);
    uint64_t count = read_pointer(&cursor, count_encoding, header);
    if (cursor.is_bad) return STATUS_TRUNCATED;
    if (count > (size_t)(cursor.end - cursor.at) / sizeof(struct table_entry)) {
        return STATUS_TRUNCATED;
    }
    struct table_entry entry = {0};
    size_t low = 0;  // how many entries are known to begin at or before pc
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        memcpy(&entry, cursor.at + middle * sizeof entry, sizeof entry);
        if (header + (uintptr_t)(intptr_t)entry.pc <= pc) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) return STATUS_NOT_FOUND;
    memcpy(&entry, cursor.at + (low - 1) * sizeof entry, sizeof entry);
    enum status status = read_function(image, header + (uintptr_t)(intptr_t)entry.fde, ret);
    if (status != STATUS_OK) return status;
    return pc >= ret->start && pc < ret->end ? STATUS_OK : STATUS_NOT_FOUND;
}

static void remember(struct machine_state *state, struct cursor *cursor) {
    if (state->remembered_count == REMEMBERED_STATES) {
        cursor->is_bad = true;
        return;
    }
    state->remembered[state->remembered_count++] = state->row;
}

static void recall(struct machine_state *state, struct cursor *cursor) {
    if (state->remembered_count == 0) {
        cursor->is_bad = true;
        return;
    }
    state->row = state->remembered[--state->remembered_count];
}

static int64_t scaled(int64_t factor, const struct common *common) {
    return (int64_t)((uint64_t)factor * (uint64_t)common->data_alignment);
}

// Says where `reg` is kept, of which only the return address matters.
static void place(struct machine_state *state, const struct common *common, uint64_t reg,
                  enum cfi_caller caller, int64_t offset) {
    if (reg != common->return_register) return;
    state->row.caller = caller;
    state->row.caller_offset = offset;
}

static void restore(struct machine_state *state, const struct common *common, uint64_t reg) {
    place(state, common, reg, state->initial.caller, state->initial.caller_offset);
}

// Instructions that say where a register is kept, and those that say nothing.
static void run_placement(struct machine_state *state, struct cursor *cursor,
                          const struct common *common, uint8_t code) {
    if (code == CFA_NOP || code == CFA_AARCH64_NEGATE_RA_STATE) return;
    uint64_t reg = read_uleb(cursor);  // for CFA_GNU_ARGS_SIZE it is a size
    switch (code) {
    case CFA_GNU_ARGS_SIZE: return;
    case CFA_RESTORE_EXTENDED: restore(state, common, reg); return;
    case CFA_UNDEFINED: place(state, common, reg, CFI_CALLER_UNKNOWN, 0); return;
    case CFA_SAME_VALUE: place(state, common, reg, CFI_CALLER_IN_REGISTER, 0); return;
    case CFA_OFFSET_EXTENDED:
        place(state, common, reg, CFI_CALLER_SAVED, scaled((int64_t)read_uleb(cursor), common));
        return;
    case CFA_OFFSET_EXTENDED_SF:
        place(state, common, reg, CFI_CALLER_SAVED, scaled(read_sleb(cursor), common));
        return;
    case CFA_REGISTER:
    case CFA_VAL_OFFSET:
    case CFA_VAL_OFFSET_SF:  // LEB128 numbers end alike, signed or not
        read_uleb(cursor);
        break;
    case CFA_EXPRESSION:
    case CFA_VAL_EXPRESSION: skip(cursor, read_uleb(cursor)); break;
    default: cursor->is_bad = true; return;
    }
    place(state, common, reg, CFI_CALLER_UNKNOWN, 0);
}

// Runs one instruction; advances `location` where it says so.
static void run_instruction(struct machine_state *state, struct cursor *cursor,
                            const struct common *common) {
    uint8_t code = (uint8_t)read_fixed(cursor, 1);
    uint8_t low_bits = code & 0x3f;
    uintptr_t step = 0;
    switch (code & 0xc0) {
    case CFA_ADVANCE_LOC: state->location += low_bits * common->code_alignment; return;
    case CFA_OFFSET:
        place(state, common, low_bits, CFI_CALLER_SAVED,
              scaled((int64_t)read_uleb(cursor), common));
        return;
    case CFA_RESTORE: restore(state, common, low_bits); return;
    default: break;
    }
    switch (code) {
    case CFA_SET_LOC: state->location = read_pointer(cursor, common->pc_encoding, 0); return;
    case CFA_ADVANCE_LOC1: step = read_fixed(cursor, 1); break;
    case CFA_ADVANCE_LOC2: step = read_fixed(cursor, 2); break;
    case CFA_ADVANCE_LOC4: step = read_fixed(cursor, 4); break;
    case CFA_REMEMBER_STATE: remember(state, cursor); return;
    case CFA_RESTORE_STATE: recall(state, cursor); return;
    case CFA_DEF_CFA:
        state->row.reg = (uint32_t)read_uleb(cursor);
        state->row.offset = (int64_t)read_uleb(cursor);
        return;
    case CFA_DEF_CFA_SF:
        state->row.reg = (uint32_t)read_uleb(cursor);
        state->row.offset = scaled(read_sleb(cursor), common);
        return;
    case CFA_DEF_CFA_REGISTER: state->row.reg = (uint32_t)read_uleb(cursor); return;
    case CFA_DEF_CFA_OFFSET: state->row.offset = (int64_t)read_uleb(cursor); return;
    case CFA_DEF_CFA_OFFSET_SF: state->row.offset = scaled(read_sleb(cursor), common); return;
    case CFA_DEF_CFA_EXPRESSION:
        state->row.reg = IS_EXPRESSION;
        skip(cursor, read_uleb(cursor));
        return;
    default: run_placement(state, cursor, common, code); return;
    }
    state->location += step * common->code_alignment;
}

// Runs until the rows have passed pc; the state then holds the last row that begins at or before
// it.
static enum status run(struct machine_state *state, struct cursor cursor,
                       const struct common *common, uintptr_t pc) {
    while (cursor.at < cursor.end) {
        struct cfi_row row = state->row;
        run_instruction(state, &cursor, common);
        if (cursor.is_bad) return STATUS_MALFORMED;
        if (state->location > pc) {
            state->row = row;
            return STATUS_OK;
        }
    }
    return STATUS_OK;
}

enum status cfi_find_row(const struct cfi_image *image, uintptr_t pc, struct cfi_row *ret_row) {
    if (image->eh_frame_hdr == NULL || pc < image->start || pc >= image->end) {
        return STATUS_NOT_FOUND;
    }
    struct function function;
    enum status status = find_function(image, pc, &function);
    if (status != STATUS_OK) return status;
    struct machine_state state = {.location = function.start};
    status = run(&state, function.common.instructions, &function.common, UINTPTR_MAX);
    if (status != STATUS_OK) return status;
    state.initial = state.row;
    status = run(&state, function.instructions, &function.common, pc);
    if (status != STATUS_OK) return status;
    if (state.row.reg == IS_EXPRESSION) return STATUS_UNSUPPORTED;
    *ret_row = state.row;
    return STATUS_OK;
}
