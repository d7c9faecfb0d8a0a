// SPDX-License-Identifier: Apache-2.0
// A folder as Kubernetes makes it for a ConfigMap: models -> ..data/models, ..data -> a folder that
// is swapped as a whole.
#include "extproc/modelfile.c"

#include <stdlib.h>

static char folder[64], path[96];
static struct models models = MODELS_INIT;
static struct modelfile file;
static char message[MODELS_MESSAGE_BYTES];

static void write_text(const char *name, const char *text) {
    char full[160];
    snprintf(full, sizeof(full), "%s/%s", folder, name);
    FILE *out = fopen(full, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void make_version(const char *name, const char *text) {
    char full[160], inner[160];
    snprintf(full, sizeof(full), "%s/%s", folder, name);
    assert_int_equal(mkdir(full, 0700), 0);
    snprintf(inner, sizeof(inner), "%s/models", name);
    write_text(inner, text);
}

static void swap_to(const char *version) {
    char fresh[160], data[160];
    snprintf(fresh, sizeof(fresh), "%s/..data_tmp", folder);
    snprintf(data, sizeof(data), "%s/..data", folder);
    assert_int_equal(symlink(version, fresh), 0);
    assert_int_equal(rename(fresh, data), 0);
}

static int setup(void **state) {
    (void)state;
    snprintf(folder, sizeof(folder), "%s/extproc-test-XXXXXX", P_tmpdir);
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(path, sizeof(path), "%s/models", folder);
    file = (struct modelfile){.path = path, .models = &models};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    char command[96];
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    return system(command);
}

static void test_modelfile__follows_the_swap_of_a_symlink(void **state) {
    (void)state;
    make_version("..1", "a");
    make_version("..2", "b\nc");  // as old as the other, and so it may be as large
    swap_to("..1");
    assert_int_equal(symlink("..data/models", path), 0);
    assert_int_equal(modelfile_open(&file, message), STATUS_OK);
    assert_int_equal(models_count(&models), 1);
    modelfile_check(&file);
    assert_int_equal(models_count(&models), 1);
    swap_to("..2");
    modelfile_check(&file);
    assert_int_equal(models_count(&models), 2);
    models_done(&models);
}

static void test_modelfile__keeps_the_list_until_the_file_is_good_again(void **state) {
    (void)state;
    write_text("models", "a,b,c");
    assert_int_equal(modelfile_open(&file, message), STATUS_OK);
    unlink(path);
    modelfile_check(&file);
    assert_int_equal(models_count(&models), 3);
    write_text("models", "two words");
    modelfile_check(&file);
    modelfile_check(&file);
    assert_int_equal(models_count(&models), 3);
    write_text("models", "fine");
    modelfile_check(&file);
    assert_int_equal(models_count(&models), 1);
    models_done(&models);
}

static void test_modelfile__says_what_is_wrong_at_the_start(void **state) {
    (void)state;
    assert_int_equal(modelfile_open(&file, message), STATUS_SYSTEM);
    assert_non_null(strstr(message, "No such file"));
    file.path = folder;
    assert_int_equal(modelfile_open(&file, message), STATUS_SYSTEM);
    assert_string_equal(message, "not a file");
    file.path = path;
    write_text("models", "a,b\\");
    assert_int_equal(modelfile_open(&file, message), STATUS_MALFORMED);
    assert_non_null(strstr(message, "no model"));
    assert_int_equal(truncate(path, MODELS_TEXT_MOST_BYTES + 1), 0);
    assert_int_equal(modelfile_open(&file, message), STATUS_SYSTEM);
    assert_string_equal(message, "the list is longer than 64 KiB");
}
