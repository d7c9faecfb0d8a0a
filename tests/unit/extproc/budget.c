// SPDX-License-Identifier: Apache-2.0
#include "extproc/budget.h"

#include <pthread.h>

static void test_budget__takes_up_to_its_limit(void **state) {
    (void)state;
    struct budget budget = {.most = 10};
    assert_true(budget_take(&budget, 10));
    assert_false(budget_take(&budget, 1));
    assert_int_equal(budget.used, 10);
    budget_give(&budget, 10);
    assert_false(budget_take(&budget, 11));
    assert_false(budget_take(&budget, SIZE_MAX));
    budget_charge(&budget, 20);
    assert_false(budget_take(&budget, 1));
    budget_give(&budget, 20);
    assert_int_equal(budget.used, 0);
}

static void test_budget__takes_twice_as_much_of_what_is_owed(void **state) {
    (void)state;
    struct budget budget = {.most = 10};
    assert_true(budget_take_owed(&budget, 20));
    assert_false(budget_take_owed(&budget, 1));
    budget_give(&budget, 20);
    budget.most = SIZE_MAX / 2;
    assert_true(budget_take_owed(&budget, SIZE_MAX));
}

static void test_budget__has_no_limit_where_there_is_none(void **state) {
    (void)state;
    struct budget budget = {0};
    assert_true(budget_take(&budget, (size_t)1 << 40));
    assert_int_equal(budget.used, (size_t)1 << 40);
}

struct other {
    struct budget *budget;
    bool got_too_much;
    atomic_bool is_done;
};

static void *ask_too_much(void *context) {
    struct other *other = context;
    for (int i = 0; i < 1000000; i++) {
        other->got_too_much |= budget_take(other->budget, 11);
    }
    other->is_done = true;
    return NULL;
}

// Two threads that meet: the one is always refused, the other never.
static void test_budget__what_is_refused_is_in_nobodys_way(void **state) {
    (void)state;
    struct budget budget = {.most = 10};
    struct other other = {.budget = &budget};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask_too_much, &other), 0);
    int refused = 0;
    while (!other.is_done) {
        if (budget_take(&budget, 5)) {
            budget_give(&budget, 5);
        } else {
            refused++;
        }
    }
    pthread_join(thread, NULL);
    assert_false(other.got_too_much);
    assert_int_equal(refused, 0);
    assert_int_equal(budget.used, 0);
}
