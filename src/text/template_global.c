/* Global functions. */
#include "text/template_ast.h"

#include <string.h>
#include <time.h>

#define GLOBAL(name)                                                                               \
    static bool global_##name(struct render *r, const struct call *call, struct value *result)

GLOBAL(range)
{
    enum { MAX_RANGE = 100000 };
    int64_t part[3] = {0, 0, 1};
    size_t n = call->all.count;
    for (size_t i = 0; i < n; i++) {
        struct value v = call->all.items[i];
        if (v.type == VALUE_UNDEFINED)
            return render_fail_undefined(r, v);
        if (!value_is_integer(v))
            return render_fail(r, "'%s' object cannot be interpreted as an integer",
                               value_type_name(v));
    }
    if (n < 1 || n > 3 || call->all.n_keywords)
        return render_fail(r, "range expects 1 to 3 arguments");
    part[0] = n == 1 ? 0 : value_integer(call->all.items[0]);
    part[1] = value_integer(call->all.items[n == 1 ? 0 : 1]);
    part[2] = n == 3 ? value_integer(call->all.items[2]) : 1;
    if (part[2] == 0)
        return render_fail(r, "range() arg 3 must not be zero");
    uint64_t span = part[2] > 0 ? (part[1] > part[0] ? (uint64_t)part[1] - (uint64_t)part[0] : 0)
                                : (part[0] > part[1] ? (uint64_t)part[0] - (uint64_t)part[1] : 0);
    uint64_t stride = part[2] > 0 ? (uint64_t)part[2] : -(uint64_t)part[2];
    uint64_t count = span ? (span - 1) / stride + 1 : 0;
    if (count > MAX_RANGE)
        return render_fail_status(r, STATUS_LIMIT, "range() of more than %d items", MAX_RANGE);
    struct value_range *range = render_take(r, 1, sizeof *range);
    if (!range)
        return false;
    *range = (struct value_range){part[0], part[1], part[2], (size_t)count};
    *result = (struct value){.type = VALUE_RANGE, .range = range};
    return true;
}

static bool add_pairs(struct render *r, struct value pairs, struct value_dict *dict)
{
    struct value_list items, pair;
    if (!value_iterate(r, pairs, &items))
        return false;
    for (size_t i = 0; i < items.count; i++) {
        if (!value_iterate(r, items.items[i], &pair))
            return false;
        if (pair.count != 2)
            return render_fail(
                r, "dictionary update sequence element #%zu has length %zu; 2 is required", i,
                pair.count);
        if (!dict_set(r, dict, pair.items[0], pair.items[1]))
            return false;
    }
    return true;
}

static struct value_dict *make_dict(struct render *r, const struct call *call)
{
    struct value_dict *dict = dict_new(r);
    if (call->all.count > 1) {
        render_fail(r, "%s expected at most 1 argument, got %zu", call->builtin->name,
                    call->all.count);
        return NULL;
    }
    if (dict && call->all.count) {
        struct value v = call->all.items[0];
        if (v.type == VALUE_DICT)
            v = (struct value){.type = VALUE_VIEW, .flags = VIEW_ITEMS, .dict = v.dict};
        if (!add_pairs(r, v, dict))
            return NULL;
    }
    for (size_t i = 0; dict && i < call->all.n_keywords; i++) {
        const struct keyword *k = &call->all.keywords[i];
        if (!dict_set(r, dict, string_value(k->name.data, k->name.length), k->value))
            return NULL;
    }
    return dict;
}

GLOBAL(dict)
{
    struct value_dict *dict = make_dict(r, call);
    *result = (struct value){.type = VALUE_DICT, .dict = dict};
    return dict != NULL;
}

GLOBAL(namespace)
{
    struct value_dict *dict = make_dict(r, call);
    *result = (struct value){.type = VALUE_NAMESPACE, .dict = dict};
    return dict != NULL;
}

GLOBAL(cycler)
{
    struct cycler *cycler = render_take(r, 1, sizeof *cycler);
    if (!cycler)
        return false;
    if (!call->all.count || call->all.n_keywords)
        return render_fail(r, "cycler needs items");
    cycler->items = (struct value_list){call->all.items, call->all.count, call->all.count};
    *result = (struct value){.type = VALUE_CYCLER, .cycler = cycler};
    return true;
}

GLOBAL(joiner)
{
    struct joiner *joiner = render_take(r, 1, sizeof *joiner);
    if (!joiner)
        return false;
    joiner->separator = call->arg[0].type == VALUE_MISSING ? literal_value(", ") : call->arg[0];
    *result = (struct value){.type = VALUE_JOINER, .joiner = joiner};
    return true;
}

GLOBAL(lipsum)
{
    (void)call;
    (void)result;
    return render_fail_status(r, STATUS_UNSUPPORTED, "lipsum() is not supported");
}

GLOBAL(raise_exception)
{
    struct value message;
    (void)result;
    if (!value_to_string(r, call->arg[0], &message))
        return false;
    if (r->failed)
        return false;
    r->failed = true;
    error_set(r->err, STATUS_INVALID, "%.*s",
              message.text.length < 900 ? (int)message.text.length : 900, message.text.data);
    return false;
}

GLOBAL(strftime_now)
{
    char format[256], text[1024];
    struct text_ref ref;
    struct tm local;
    time_t now = time(NULL);
    if (!argument_text(r, call, 0, NULL, &ref))
        return false;
    if (ref.length >= sizeof format || memchr(ref.data, 0, ref.length))
        return render_fail(r, "strftime_now: the format is too long");
    memcpy(format, ref.data, ref.length);
    format[ref.length] = 0;
    localtime_r(&now, &local);
    size_t n = strftime(text, sizeof text, format, &local);
    struct text_builder b = {.r = r};
    builder_add(&b, text, n);
    return builder_finish(&b, result);
}

static const struct builtin globals[] = {{"range", global_range, "*"},
                                         {"dict", global_dict, "*"},
                                         {"namespace", global_namespace, "*"},
                                         {"cycler", global_cycler, "*"},
                                         {"joiner", global_joiner, "sep?"},
                                         {"lipsum", global_lipsum, "*"},
                                         {"raise_exception", global_raise_exception, "message"},
                                         {"strftime_now", global_strftime_now, "format"},
                                         {0}};

const struct builtin *find_global(struct text_ref name)
{
    return find_builtin(globals, name);
}
