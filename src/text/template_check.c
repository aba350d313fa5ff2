/* Jinja's tests: what may stand behind "is". */
#include "text/template_ast.h"

#include <math.h>
#include <string.h>

#define TEST(name)                                                                                 \
    static bool test_##name(struct render *r, const struct call *call, struct value *result)
#define SIMPLE_TEST(name, condition)                                                               \
    TEST(name)                                                                                     \
    {                                                                                              \
        (void)r;                                                                                   \
        struct value v = call->subject;                                                            \
        *result = bool_value(condition);                                                           \
        return true;                                                                               \
    }

SIMPLE_TEST(defined, v.type != VALUE_UNDEFINED)
SIMPLE_TEST(undefined, v.type == VALUE_UNDEFINED)
SIMPLE_TEST(none, v.type == VALUE_NONE)
SIMPLE_TEST(boolean, v.type == VALUE_BOOL)
SIMPLE_TEST(is_true, v.type == VALUE_BOOL && v.boolean)
SIMPLE_TEST(is_false, v.type == VALUE_BOOL && !v.boolean)
SIMPLE_TEST(integer, v.type == VALUE_INT)
SIMPLE_TEST(float, v.type == VALUE_FLOAT)
SIMPLE_TEST(number, value_is_number(v))
SIMPLE_TEST(string, v.type == VALUE_STRING)
SIMPLE_TEST(mapping, v.type == VALUE_DICT)
SIMPLE_TEST(iterable, value_iterable(v))
SIMPLE_TEST(sequence, value_has_length(v) && v.type != VALUE_VIEW && v.type != VALUE_LOOP)
SIMPLE_TEST(escaped, v.type == VALUE_STRING && (v.flags & STRING_MARKUP))
SIMPLE_TEST(callable, v.type == VALUE_MACRO || v.type == VALUE_FUNCTION || v.type == VALUE_METHOD ||
                          v.type == VALUE_JOINER || v.type == VALUE_LOOP ||
                          v.type == VALUE_UNDEFINED)

TEST(lower)
{
    struct value text;
    if (!value_to_string(r, call->subject, &text))
        return false;
    *result = bool_value(chars_is_lower(text.text));
    return render_spend_bytes(r, text.text.length);
}

TEST(upper)
{
    struct value text;
    if (!value_to_string(r, call->subject, &text))
        return false;
    *result = bool_value(chars_is_upper(text.text));
    return render_spend_bytes(r, text.text.length);
}

static bool remainder_is(struct render *r, struct value v, struct value divisor, int64_t wanted,
                         struct value *result)
{
    struct value rest;
    bool equal;
    if (!value_operate(r, OP_MOD, v, divisor, &rest) ||
        !value_equal(r, rest, int_value(wanted), &equal))
        return false;
    *result = bool_value(equal);
    return true;
}

TEST(odd)
{
    return remainder_is(r, call->subject, int_value(2), 1, result);
}

TEST(even)
{
    return remainder_is(r, call->subject, int_value(2), 0, result);
}

TEST(divisibleby)
{
    return remainder_is(r, call->subject, call->arg[0], 0, result);
}

TEST(sameas)
{
    struct value a = call->subject, b = call->arg[0];
    bool same = a.type == b.type;
    *result = bool_value(false);
    if (!same)
        return true;
    if (a.type == VALUE_NONE || a.type == VALUE_BOOL || a.type == VALUE_INT ||
        a.type == VALUE_FLOAT || a.type == VALUE_STRING) {
        if (!value_equal(r, a, b, &same))
            return false;
    } else {
        same = a.pointer == b.pointer;
    }
    *result = bool_value(same);
    return true;
}

static bool compare(struct render *r, const struct call *call, enum operator_kind op,
                    struct value *result)
{
    return value_operate(r, op, call->subject, call->arg[0], result);
}

TEST(eq)
{
    return compare(r, call, OP_EQ, result);
}

TEST(ne)
{
    return compare(r, call, OP_NE, result);
}

TEST(lt)
{
    return compare(r, call, OP_LT, result);
}

TEST(le)
{
    return compare(r, call, OP_LE, result);
}

TEST(gt)
{
    return compare(r, call, OP_GT, result);
}

TEST(ge)
{
    return compare(r, call, OP_GE, result);
}

TEST(in)
{
    return compare(r, call, OP_IN, result);
}

static bool exists(struct render *r, const struct call *call,
                   const struct builtin *(*find)(struct text_ref), struct value *result)
{
    uint64_t hash;
    if (!value_hash(r, call->subject, &hash))
        return render_fail(r, "unhashable type: '%s'", value_type_name(call->subject));
    *result = bool_value(call->subject.type == VALUE_STRING && find(call->subject.text));
    return true;
}

TEST(filter)
{
    return exists(r, call, find_filter, result);
}

TEST(test)
{
    return exists(r, call, find_test, result);
}

static const struct builtin tests[] = {{"defined", test_defined, ""},
                                       {"undefined", test_undefined, ""},
                                       {"none", test_none, ""},
                                       {"boolean", test_boolean, ""},
                                       {"true", test_is_true, ""},
                                       {"false", test_is_false, ""},
                                       {"integer", test_integer, ""},
                                       {"float", test_float, ""},
                                       {"number", test_number, ""},
                                       {"string", test_string, ""},
                                       {"mapping", test_mapping, ""},
                                       {"iterable", test_iterable, ""},
                                       {"sequence", test_sequence, ""},
                                       {"escaped", test_escaped, ""},
                                       {"callable", test_callable, ""},
                                       {"lower", test_lower, ""},
                                       {"upper", test_upper, ""},
                                       {"odd", test_odd, ""},
                                       {"even", test_even, ""},
                                       {"divisibleby", test_divisibleby, "num"},
                                       {"sameas", test_sameas, "other"},
                                       {"eq", test_eq, "/b"},
                                       {"equalto", test_eq, "/b"},
                                       {"==", test_eq, "/b"},
                                       {"ne", test_ne, "/b"},
                                       {"!=", test_ne, "/b"},
                                       {"lt", test_lt, "/b"},
                                       {"lessthan", test_lt, "/b"},
                                       {"<", test_lt, "/b"},
                                       {"le", test_le, "/b"},
                                       {"<=", test_le, "/b"},
                                       {"gt", test_gt, "/b"},
                                       {"greaterthan", test_gt, "/b"},
                                       {">", test_gt, "/b"},
                                       {"ge", test_ge, "/b"},
                                       {">=", test_ge, "/b"},
                                       {"in", test_in, "seq"},
                                       {"filter", test_filter, ""},
                                       {"test", test_test, ""},
                                       {0}};

const struct builtin *find_test(struct text_ref name)
{
    return find_builtin(tests, name);
}
