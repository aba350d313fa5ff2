/* Arithmetic and comparisons, with Python's meaning. Integers have 64 bits; what does not fit is
 * an error, never a wrong number. */
#include "text/template_value.h"

#include <math.h>
#include <string.h>

static const char *const symbols[] = {
    "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};

static bool fail_types(struct render *r, enum operator_kind op, struct value a, struct value b)
{
    if (a.type == VALUE_UNDEFINED || b.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, a.type == VALUE_UNDEFINED ? a : b);
    return render_fail(r, "unsupported operand types for %s: '%s' and '%s'", symbols[op],
                       value_type_name(a), value_type_name(b));
}

static bool fail_overflow(struct render *r)
{
    return render_fail_status(r, STATUS_UNSUPPORTED, "a whole number does not fit into 64 bits");
}

/* ---- integers ---- */

static bool power_of_int(struct render *r, int64_t base, int64_t exponent, struct value *result)
{
    int64_t power = 1;
    if (exponent < 0) {
        if (base == 0)
            return render_fail(r, "0 cannot be raised to a negative power");
        *result = float_value(pow((double)base, (double)exponent));
        return true;
    }
    if (base == 1 || base == 0 || base == -1) {
        *result = int_value(exponent == 0 ? 1 : base == -1 && exponent % 2 == 0 ? 1 : base);
        return true;
    }
    for (int64_t i = 0; i < exponent; i++)
        if (__builtin_mul_overflow(power, base, &power))
            return fail_overflow(r);
    *result = int_value(power);
    return true;
}

static bool divide_ints(struct render *r, enum operator_kind op, int64_t a, int64_t b,
                        struct value *result)
{
    if (b == 0)
        return render_fail(r, "division by zero");
    if (op == OP_DIV) {
        *result = float_value((double)a / (double)b);
        return true;
    }
    if (b == -1) {
        int64_t negated;
        if (__builtin_sub_overflow((int64_t)0, a, &negated))
            return op == OP_MOD ? (*result = int_value(0), true) : fail_overflow(r);
        *result = int_value(op == OP_MOD ? 0 : negated);
        return true;
    }
    int64_t quotient = a / b, rest = a % b;
    if (rest && (rest < 0) != (b < 0)) {
        quotient--;
        rest += b;
    }
    *result = int_value(op == OP_MOD ? rest : quotient);
    return true;
}

static bool apply_to_ints(struct render *r, enum operator_kind op, int64_t a, int64_t b,
                          struct value *result)
{
    int64_t i = 0;
    bool overflow = false;
    switch (op) {
    case OP_ADD:
        overflow = __builtin_add_overflow(a, b, &i);
        break;
    case OP_SUB:
        overflow = __builtin_sub_overflow(a, b, &i);
        break;
    case OP_MUL:
        overflow = __builtin_mul_overflow(a, b, &i);
        break;
    case OP_POW:
        return power_of_int(r, a, b, result);
    default:
        return divide_ints(r, op, a, b, result);
    }
    *result = int_value(i);
    return overflow ? fail_overflow(r) : true;
}

/* ---- reals ---- */

static double modulo(double a, double b)
{
    double rest = fmod(a, b);
    if (rest == 0)
        return copysign(0, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}

static double floor_quotient(double a, double b)
{
    double rest = fmod(a, b), quotient = (a - rest) / b;
    if (rest != 0 && (rest < 0) != (b < 0))
        quotient -= 1;
    if (quotient == 0)
        return copysign(0, a / b);
    double whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1 : whole;
}

static bool power_of_real(struct render *r, double a, double b, struct value *result)
{
    if (a == 0 && b < 0)
        return render_fail(r, "0.0 cannot be raised to a negative power");
    if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
        return render_fail_status(r, STATUS_UNSUPPORTED, "complex numbers are not supported");
    double power = pow(a, b);
    if (isinf(power) && isfinite(a) && isfinite(b))
        return render_fail(r, "the result is too large");
    *result = float_value(power);
    return true;
}

static bool apply_to_reals(struct render *r, enum operator_kind op, double a, double b,
                           struct value *result)
{
    if (b == 0 && (op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD))
        return render_fail(r, "division by zero");
    switch (op) {
    case OP_ADD:
        *result = float_value(a + b);
        return true;
    case OP_SUB:
        *result = float_value(a - b);
        return true;
    case OP_MUL:
        *result = float_value(a * b);
        return true;
    case OP_DIV:
        *result = float_value(a / b);
        return true;
    case OP_FLOORDIV:
        *result = float_value(floor_quotient(a, b));
        return true;
    case OP_MOD:
        *result = float_value(modulo(a, b));
        return true;
    default:
        return power_of_real(r, a, b, result);
    }
}

/* ---- strings and lists ---- */

static bool add_strings(struct render *r, struct value a, struct value b, struct value *result)
{
    struct text_builder builder = {.r = r};
    unsigned markup = (a.flags | b.flags) & STRING_MARKUP;
    if (markup && (!escape_html(r, a, &a) || !escape_html(r, b, &b)))
        return false;
    builder_add(&builder, a.text.data, a.text.length);
    builder_add(&builder, b.text.data, b.text.length);
    if (!builder_finish(&builder, result))
        return false;
    result->flags |= markup;
    return true;
}

static bool add_lists(struct render *r, struct value a, struct value b, struct value *result)
{
    struct value_list sum = {0};
    if (!size_add(a.list->count, b.list->count, &sum.capacity))
        return render_fail_memory(r);
    sum.items = render_take(r, sum.capacity, sizeof *sum.items);
    if (!sum.items || !render_spend(r, sum.capacity / 8))
        return false;
    sum.count = sum.capacity;
    if (a.list->count)
        memcpy(sum.items, a.list->items, a.list->count * sizeof *sum.items);
    if (b.list->count)
        memcpy(sum.items + a.list->count, b.list->items, b.list->count * sizeof *sum.items);
    return list_value(r, a.type, sum, result);
}

static bool repeat_list(struct render *r, struct value v, size_t times, struct value *result)
{
    struct value_list list = {0};
    size_t n = v.list->count;
    if (!size_multiply(n, times, &list.capacity))
        return render_fail_memory(r);
    if (list.capacity && !(list.items = render_take(r, list.capacity, sizeof *list.items)))
        return false;
    for (size_t i = 0; n && i < times; i++)
        memcpy(list.items + i * n, v.list->items, n * sizeof *list.items);
    list.count = list.capacity;
    return render_spend(r, list.count / 8) && list_value(r, v.type, list, result);
}

static bool is_repeatable(struct value v)
{
    return v.type == VALUE_STRING || v.type == VALUE_LIST || v.type == VALUE_TUPLE;
}

static bool repeat(struct render *r, struct value v, int64_t times, struct value *result)
{
    size_t n = times > 0 ? (size_t)times : 0;
    if (v.type != VALUE_STRING)
        return repeat_list(r, v, n, result);
    struct text_builder b = {.r = r};
    builder_add_repeat(&b, v.text.data, v.text.length, n);
    if (!builder_finish(&b, result))
        return false;
    result->flags |= v.flags & STRING_MARKUP;
    return true;
}

static bool compare(struct render *r, enum operator_kind op, struct value a, struct value b,
                    struct value *result)
{
    bool truth = false;
    if (!value_compare(r, op, a, b, &truth))
        return false;
    *result = bool_value(truth);
    return true;
}

bool value_operate(struct render *r, enum operator_kind op, struct value a, struct value b,
                   struct value *result)
{
    if (op >= OP_EQ)
        return compare(r, op, a, b, result);
    if (value_is_integer(a) && value_is_integer(b))
        return apply_to_ints(r, op, value_integer(a), value_integer(b), result);
    if (value_is_number(a) && value_is_number(b))
        return apply_to_reals(r, op, value_real(a), value_real(b), result);
    if (op == OP_MOD && a.type == VALUE_STRING)
        return format_percent(r, a, b, result);
    if (op == OP_ADD && a.type == VALUE_STRING && b.type == VALUE_STRING)
        return add_strings(r, a, b, result);
    if (op == OP_ADD && a.type == b.type && (a.type == VALUE_LIST || a.type == VALUE_TUPLE))
        return add_lists(r, a, b, result);
    if (op == OP_MUL && is_repeatable(a) && value_is_integer(b))
        return repeat(r, a, value_integer(b), result);
    if (op == OP_MUL && is_repeatable(b) && value_is_integer(a))
        return repeat(r, b, value_integer(a), result);
    return fail_types(r, op, a, b);
}

bool value_compare(struct render *r, enum operator_kind op, struct value a, struct value b,
                   bool *result)
{
    enum order order = ORDER_NONE;
    bool ok, equal = false;
    switch (op) {
    case OP_EQ:
    case OP_NE:
        ok = value_equal(r, a, b, &equal);
        *result = equal == (op == OP_EQ);
        return ok;
    case OP_IN:
    case OP_NOT_IN:
        ok = value_contains(r, b, a, &equal);
        *result = equal == (op == OP_IN);
        return ok;
    default:
        ok = value_order(r, symbols[op], a, b, &order);
        *result = order != ORDER_NONE && (op == OP_LT   ? order < 0
                                          : op == OP_LE ? order <= 0
                                          : op == OP_GT ? order > 0
                                                        : order >= 0);
        return ok;
    }
}

bool negate_value(struct render *r, struct value v, bool minus, struct value *result)
{
    int64_t negated;
    if (v.type == VALUE_UNDEFINED)
        return render_fail_undefined(r, v);
    if (!value_is_number(v))
        return render_fail(r, "bad operand type for unary %c: '%s'", minus ? '-' : '+',
                           value_type_name(v));
    if (v.type == VALUE_FLOAT) {
        *result = float_value(minus ? -v.real : v.real);
        return true;
    }
    if (__builtin_sub_overflow((int64_t)0, value_integer(v), &negated))
        return fail_overflow(r);
    *result = int_value(minus ? negated : value_integer(v));
    return true;
}
