/* The methods of strings. */
#include "text/template_value.h"

#include <string.h>

static struct text_ref self(const struct call *call)
{
    return call->subject.text;
}

/* A string of the same kind (plain or markup) as the subject. */
static bool finish(const struct call *call, struct text_builder *b, struct value *result)
{
    if (!builder_finish(b, result))
        return false;
    result->flags |= call->subject.flags & STRING_MARKUP;
    return true;
}

static bool method_upper(struct render *r, const struct call *call, struct value *result)
{
    struct text_builder b = {.r = r};
    builder_add_upper(&b, self(call));
    return finish(call, &b, result);
}

static bool method_lower(struct render *r, const struct call *call, struct value *result)
{
    struct text_builder b = {.r = r};
    builder_add_lower(&b, self(call));
    return finish(call, &b, result);
}

static bool method_capitalize(struct render *r, const struct call *call, struct value *result)
{
    struct text_builder b = {.r = r};
    builder_add_capitalized(&b, self(call));
    return finish(call, &b, result);
}

static void add_one_lower(struct text_builder *b, struct text_ref text, size_t begin, size_t end)
{
    builder_add_lower(b, (struct text_ref){text.data + begin, end - begin});
}

static bool method_title(struct render *r, const struct call *call, struct value *result)
{
    struct text_builder b = {.r = r};
    struct text_ref text = self(call);
    bool in_word = false;
    for (size_t at = 0; at < text.length && !b.failed;) {
        size_t begin = at;
        uint32_t c = chars_next(text, &at);
        if (in_word)
            add_one_lower(&b, text, begin, at);
        else
            builder_add_titled(&b, c);
        in_word = codepoint_is_lower(c) || codepoint_is_upper(c) || codepoint_is_title(c);
    }
    return finish(call, &b, result);
}

static bool method_swapcase(struct render *r, const struct call *call, struct value *result)
{
    struct text_builder b = {.r = r};
    struct text_ref text = self(call);
    for (size_t at = 0; at < text.length && !b.failed;) {
        size_t begin = at;
        if (codepoint_is_upper(chars_next(text, &at)))
            add_one_lower(&b, text, begin, at);
        else
            builder_add_upper(&b, (struct text_ref){text.data + begin, at - begin});
    }
    return finish(call, &b, result);
}

/* ---- stripping and padding ---- */

static bool strip(struct render *r, const struct call *call, bool left, bool right,
                  struct value *result)
{
    struct text_ref chars, *set = NULL;
    if (argument_given(call, 0)) {
        if (!argument_text(r, call, 0, NULL, &chars))
            return false;
        set = &chars;
    }
    if (!render_spend_bytes(r, self(call).length) ||
        (set && !render_spend_bytes(r, self(call).length / 16 * set->length)))
        return false;
    struct text_ref stripped = chars_strip(self(call), set, left, right);
    *result = string_value(stripped.data, stripped.length);
    result->flags |= call->subject.flags & STRING_MARKUP;
    return true;
}

static bool method_strip(struct render *r, const struct call *call, struct value *result)
{
    return strip(r, call, true, true, result);
}

static bool method_lstrip(struct render *r, const struct call *call, struct value *result)
{
    return strip(r, call, true, false, result);
}

static bool method_rstrip(struct render *r, const struct call *call, struct value *result)
{
    return strip(r, call, false, true, result);
}

static bool pad(struct render *r, const struct call *call, int left_share, struct value *result)
{
    struct text_builder b = {.r = r};
    struct text_ref fill;
    int64_t width;
    if (!argument_int(r, call, 0, 0, &width) || !argument_text(r, call, 1, " ", &fill))
        return false;
    size_t n = string_count(call->subject);
    if (string_count(string_value(fill.data, fill.length)) != 1)
        return render_fail(r, "the fill character must be exactly one character long");
    size_t total = width > 0 && (size_t)width > n ? (size_t)width - n : 0;
    size_t left = left_share == 0   ? 0
                  : left_share == 2 ? total
                                    : total / 2 + (total & (size_t)width & 1);
    builder_add_repeat(&b, fill.data, fill.length, left);
    builder_add(&b, self(call).data, self(call).length);
    builder_add_repeat(&b, fill.data, fill.length, total - left);
    return finish(call, &b, result);
}

static bool method_ljust(struct render *r, const struct call *call, struct value *result)
{
    return pad(r, call, 0, result);
}

static bool method_center(struct render *r, const struct call *call, struct value *result)
{
    return pad(r, call, 1, result);
}

static bool method_rjust(struct render *r, const struct call *call, struct value *result)
{
    return pad(r, call, 2, result);
}

static bool method_zfill(struct render *r, const struct call *call, struct value *result)
{
    struct text_builder b = {.r = r};
    struct text_ref text = self(call);
    int64_t width;
    if (!argument_int(r, call, 0, 0, &width))
        return false;
    size_t n = string_count(call->subject), sign = text.length && strchr("+-", text.data[0]);
    sign = sign && text.data[0];
    builder_add(&b, text.data, sign);
    builder_add_repeat(&b, "0", 1, width > 0 && (size_t)width > n ? (size_t)width - n : 0);
    builder_add(&b, text.data + sign, text.length - sign);
    return finish(call, &b, result);
}

static bool method_expandtabs(struct render *r, const struct call *call, struct value *result)
{
    struct text_builder b = {.r = r};
    struct text_ref text = self(call);
    int64_t size, column = 0;
    if (!argument_int(r, call, 0, 8, &size))
        return false;
    for (size_t at = 0; at < text.length && !b.failed;) {
        size_t begin = at;
        uint32_t c = chars_next(text, &at);
        if (c == '\t') {
            int64_t n = size > 0 ? size - column % size : 0;
            builder_add_repeat(&b, " ", 1, (size_t)n);
            column += n;
        } else {
            builder_add(&b, text.data + begin, at - begin);
            column = c == '\n' || c == '\r' ? 0 : column + 1;
        }
    }
    return finish(call, &b, result);
}

/* ---- finding ---- */

/* The part of the subject between the optional arguments start and end: its bytes, and the
 * index of its first character. False in *valid when start lies behind the end. */
static bool search_range(struct render *r, const struct call *call, struct value *part,
                         size_t *first, bool *valid)
{
    int64_t begin, end, n = (int64_t)string_count(call->subject);
    if (!argument_int(r, call, 1, 0, &begin) || !argument_int(r, call, 2, INT64_MAX, &end) ||
        !render_spend_bytes(r, self(call).length))
        return false;
    begin = begin < 0 ? (begin < -n ? 0 : begin + n) : begin;
    end = end < 0 ? (end < -n ? 0 : end + n) : end > n ? n : end;
    *valid = begin <= end;
    *first = *valid ? (size_t)begin : 0;
    *part = string_part(call->subject, 0, 0);
    if (*valid)
        *part = string_part(call->subject, string_offset(call->subject, (size_t)begin),
                            string_offset(call->subject, (size_t)end));
    return true;
}

static bool find(struct render *r, const struct call *call, bool last, struct value *result)
{
    struct text_ref needle;
    struct value part;
    size_t first, at;
    bool valid;
    if (!argument_text(r, call, 0, NULL, &needle) || !search_range(r, call, &part, &first, &valid))
        return false;
    if (last && !render_spend_bytes(r, part.text.length / 8 * needle.length))
        return false;
    at = last ? chars_find_last(part.text, needle) : chars_find(part.text, needle, 0);
    *result = int_value(-1);
    if (valid && at != SIZE_MAX)
        *result = int_value((int64_t)(first + string_count(string_part(part, 0, at))));
    return true;
}

static bool method_find(struct render *r, const struct call *call, struct value *result)
{
    return find(r, call, false, result);
}

static bool method_rfind(struct render *r, const struct call *call, struct value *result)
{
    return find(r, call, true, result);
}

static bool require_found(struct render *r, bool ok, const struct value *result)
{
    return ok && (result->integer >= 0 || render_fail(r, "substring not found"));
}

static bool method_index(struct render *r, const struct call *call, struct value *result)
{
    return require_found(r, find(r, call, false, result), result);
}

static bool method_rindex(struct render *r, const struct call *call, struct value *result)
{
    return require_found(r, find(r, call, true, result), result);
}

static bool method_count(struct render *r, const struct call *call, struct value *result)
{
    struct text_ref needle;
    struct value part;
    size_t first, n = 0;
    bool valid;
    if (!argument_text(r, call, 0, NULL, &needle) || !search_range(r, call, &part, &first, &valid))
        return false;
    if (!needle.length) {
        n = valid ? string_count(part) + 1 : 0;
    } else {
        for (size_t at = 0; (at = chars_find(part.text, needle, at)) != SIZE_MAX;
             at += needle.length)
            n++;
    }
    *result = int_value((int64_t)n);
    return true;
}

static bool has_affix(struct text_ref text, struct text_ref affix, bool at_end)
{
    return text.length >= affix.length &&
           !memcmp(at_end ? text.data + text.length - affix.length : text.data, affix.data,
                   affix.length);
}

static bool check_affix(struct render *r, const struct call *call, bool at_end,
                        struct value *result)
{
    struct value one = call->arg[0], part;
    struct value_list affixes = {.items = &one, .count = 1};
    size_t first;
    bool valid, found = false;
    if (one.type == VALUE_TUPLE)
        affixes = *one.list;
    if (!search_range(r, call, &part, &first, &valid))
        return false;
    for (size_t i = 0; i < affixes.count && !found; i++) {
        if (affixes.items[i].type != VALUE_STRING)
            return render_fail(r, "%s needs a string or a tuple of strings, not '%s'",
                               call->builtin->name, value_type_name(affixes.items[i]));
        found = valid && has_affix(part.text, affixes.items[i].text, at_end);
    }
    *result = bool_value(found);
    return true;
}

static bool method_startswith(struct render *r, const struct call *call, struct value *result)
{
    return check_affix(r, call, false, result);
}

static bool method_endswith(struct render *r, const struct call *call, struct value *result)
{
    return check_affix(r, call, true, result);
}

static bool remove_affix(struct render *r, const struct call *call, bool at_end,
                         struct value *result)
{
    struct text_ref affix, text = self(call);
    if (!argument_text(r, call, 0, NULL, &affix))
        return false;
    size_t n = has_affix(text, affix, at_end) ? affix.length : 0;
    *result = string_part(call->subject, at_end ? 0 : n, text.length - (at_end ? n : 0));
    return true;
}

static bool method_removeprefix(struct render *r, const struct call *call, struct value *result)
{
    return remove_affix(r, call, false, result);
}

static bool method_removesuffix(struct render *r, const struct call *call, struct value *result)
{
    return remove_affix(r, call, true, result);
}

/* ---- replacing, splitting, joining ---- */

static void replace_between_characters(struct text_builder *b, struct text_ref text,
                                       struct text_ref new_text, int64_t count)
{
    size_t at = 0;
    for (; at < text.length && count != 0 && !b->failed; count--) {
        size_t begin = at;
        builder_add(b, new_text.data, new_text.length);
        chars_next(text, &at);
        builder_add(b, text.data + begin, at - begin);
    }
    if (at == text.length && count != 0)
        builder_add(b, new_text.data, new_text.length);
    else
        builder_add(b, text.data + at, text.length - at);
}

static bool method_replace(struct render *r, const struct call *call, struct value *result)
{
    struct text_builder b = {.r = r};
    struct text_ref old_text, new_text, text = self(call);
    int64_t count;
    if (!argument_text(r, call, 0, NULL, &old_text) ||
        !argument_text(r, call, 1, NULL, &new_text) || !argument_int(r, call, 2, -1, &count) ||
        !render_spend_bytes(r, text.length))
        return false;
    if (!old_text.length) {
        replace_between_characters(&b, text, new_text, count);
        return finish(call, &b, result);
    }
    size_t at = 0, found;
    for (; count != 0 && (found = chars_find(text, old_text, at)) != SIZE_MAX; count--) {
        builder_add(&b, text.data + at, found - at);
        builder_add(&b, new_text.data, new_text.length);
        at = found + old_text.length;
        if (b.failed)
            return false;
    }
    builder_add(&b, text.data + at, text.length - at);
    return finish(call, &b, result);
}

static bool push_part(struct render *r, const struct call *call, struct value_list *parts,
                      size_t begin, size_t end)
{
    return list_push(r, parts, string_part(call->subject, begin, end));
}

static bool split_at(struct render *r, const struct call *call, struct text_ref separator,
                     int64_t limit, struct value_list *parts)
{
    struct text_ref text = self(call);
    size_t at = 0, found;
    for (; limit != 0 && (found = chars_find(text, separator, at)) != SIZE_MAX; limit--) {
        if (!push_part(r, call, parts, at, found))
            return false;
        at = found + separator.length;
    }
    return push_part(r, call, parts, at, text.length);
}

static bool reverse_parts(struct value_list *parts)
{
    for (size_t i = 0; i < parts->count / 2; i++) {
        struct value swap = parts->items[i];
        parts->items[i] = parts->items[parts->count - 1 - i];
        parts->items[parts->count - 1 - i] = swap;
    }
    return true;
}

static bool rsplit_at(struct render *r, const struct call *call, struct text_ref separator,
                      int64_t limit, struct value_list *parts)
{
    struct text_ref text = self(call);
    size_t found;
    for (; limit != 0 && (found = chars_find_last(text, separator)) != SIZE_MAX; limit--) {
        if (!push_part(r, call, parts, found + separator.length, text.length) ||
            !render_spend_bytes(r, (text.length - found) / 8 * separator.length))
            return false;
        text.length = found;
    }
    return render_spend_bytes(r, text.length / 8 * separator.length) &&
           push_part(r, call, parts, 0, text.length) && reverse_parts(parts);
}

static bool split_words(struct render *r, const struct call *call, int64_t limit,
                        struct value_list *parts)
{
    struct text_ref text = self(call), rest = chars_strip(text, NULL, true, false);
    for (; rest.length && limit != 0; limit--) {
        size_t begin = (size_t)(rest.data - text.data), end = 0;
        for (size_t next = 0; end < rest.length; end = next)
            if (codepoint_is_space(chars_next(rest, &next)))
                break;
        if (!push_part(r, call, parts, begin, begin + end))
            return false;
        rest = (struct text_ref){rest.data + end, rest.length - end};
        rest = chars_strip(rest, NULL, true, false);
    }
    size_t begin = (size_t)(rest.data - text.data);
    return !rest.length || push_part(r, call, parts, begin, begin + rest.length);
}

static bool rsplit_words(struct render *r, const struct call *call, int64_t limit,
                         struct value_list *parts)
{
    struct text_ref rest = chars_strip(self(call), NULL, false, true);
    for (; rest.length && limit != 0; limit--) {
        size_t begin = rest.length;
        for (size_t previous = begin; begin > 0; begin = previous)
            if (codepoint_is_space(chars_previous(rest, &previous)))
                break;
        if (!push_part(r, call, parts, begin, rest.length))
            return false;
        rest = chars_strip((struct text_ref){rest.data, begin}, NULL, false, true);
    }
    bool nothing_left = chars_strip(rest, NULL, true, false).length == 0;
    return (nothing_left || push_part(r, call, parts, 0, rest.length)) && reverse_parts(parts);
}

static bool split(struct render *r, const struct call *call, bool from_right, struct value *result)
{
    struct value_list parts = {0};
    struct text_ref separator;
    int64_t limit;
    bool ok;
    if (!argument_int(r, call, 1, -1, &limit) || !render_spend_bytes(r, self(call).length))
        return false;
    if (!argument_given(call, 0)) {
        ok =
            from_right ? rsplit_words(r, call, limit, &parts) : split_words(r, call, limit, &parts);
        return ok && list_value(r, VALUE_LIST, parts, result);
    }
    if (!argument_text(r, call, 0, NULL, &separator))
        return false;
    if (!separator.length)
        return render_fail(r, "empty separator");
    ok = from_right ? rsplit_at(r, call, separator, limit, &parts)
                    : split_at(r, call, separator, limit, &parts);
    return ok && list_value(r, VALUE_LIST, parts, result);
}

static bool method_split(struct render *r, const struct call *call, struct value *result)
{
    return split(r, call, false, result);
}

static bool method_rsplit(struct render *r, const struct call *call, struct value *result)
{
    return split(r, call, true, result);
}

static bool method_splitlines(struct render *r, const struct call *call, struct value *result)
{
    struct value_list lines = {0};
    struct text_ref text = self(call);
    bool keep = argument_truth(call, 0);
    size_t begin = 0;
    for (size_t at = 0; at < text.length;) {
        size_t end = at;
        uint32_t c = chars_next(text, &at);
        if (!codepoint_is_line_end(c))
            continue;
        if (c == '\r' && at < text.length && text.data[at] == '\n')
            at++;
        if (!push_part(r, call, &lines, begin, keep ? at : end))
            return false;
        begin = at;
    }
    if (begin < text.length && !push_part(r, call, &lines, begin, text.length))
        return false;
    return render_spend_bytes(r, text.length) && list_value(r, VALUE_LIST, lines, result);
}

static bool partition(struct render *r, const struct call *call, bool last, struct value *result)
{
    struct value_list parts = {0};
    struct text_ref separator, text = self(call);
    if (!argument_text(r, call, 0, NULL, &separator) ||
        !render_spend_bytes(r, text.length + (last ? text.length / 8 * separator.length : 0)))
        return false;
    if (!separator.length)
        return render_fail(r, "empty separator");
    size_t at = last ? chars_find_last(text, separator) : chars_find(text, separator, 0);
    size_t begin = at, end = at + separator.length;
    if (at == SIZE_MAX)
        begin = end = last ? 0 : text.length;
    return push_part(r, call, &parts, 0, begin) && push_part(r, call, &parts, begin, end) &&
           push_part(r, call, &parts, end, text.length) &&
           list_value(r, VALUE_TUPLE, parts, result);
}

static bool method_partition(struct render *r, const struct call *call, struct value *result)
{
    return partition(r, call, false, result);
}

static bool method_rpartition(struct render *r, const struct call *call, struct value *result)
{
    return partition(r, call, true, result);
}

static bool method_join(struct render *r, const struct call *call, struct value *result)
{
    struct text_builder b = {.r = r};
    struct value_list items;
    if (!value_iterate(r, call->arg[0], &items))
        return false;
    for (size_t i = 0; i < items.count; i++) {
        struct value item = items.items[i];
        if (item.type != VALUE_STRING)
            return render_fail(r, "sequence item %zu: expected str instance, %s found", i,
                               value_type_name(item));
        if (i)
            builder_add(&b, self(call).data, self(call).length);
        builder_add(&b, item.text.data, item.text.length);
    }
    return finish(call, &b, result);
}

static bool method_format(struct render *r, const struct call *call, struct value *result)
{
    return format_braces(r, call->subject, &call->all, result);
}

/* ---- questions ---- */

static bool all_characters(const struct call *call, bool (*is)(uint32_t), struct value *result)
{
    struct text_ref text = self(call);
    bool all = text.length > 0;
    for (size_t at = 0; all && at < text.length;)
        all = is(chars_next(text, &at));
    *result = bool_value(all);
    return true;
}

static bool is_alphanumeric(uint32_t c)
{
    return codepoint_is_alpha(c) || codepoint_is_digit(c) || codepoint_is_numeric(c);
}

static bool method_isalpha(struct render *r, const struct call *call, struct value *result)
{
    return render_spend_bytes(r, self(call).length) &&
           all_characters(call, codepoint_is_alpha, result);
}

static bool method_isdigit(struct render *r, const struct call *call, struct value *result)
{
    return render_spend_bytes(r, self(call).length) &&
           all_characters(call, codepoint_is_digit, result);
}

static bool method_isdecimal(struct render *r, const struct call *call, struct value *result)
{
    return render_spend_bytes(r, self(call).length) &&
           all_characters(call, codepoint_is_decimal, result);
}

static bool method_isnumeric(struct render *r, const struct call *call, struct value *result)
{
    return render_spend_bytes(r, self(call).length) &&
           all_characters(call, codepoint_is_numeric, result);
}

static bool method_isalnum(struct render *r, const struct call *call, struct value *result)
{
    return render_spend_bytes(r, self(call).length) &&
           all_characters(call, is_alphanumeric, result);
}

static bool method_isspace(struct render *r, const struct call *call, struct value *result)
{
    return render_spend_bytes(r, self(call).length) &&
           all_characters(call, codepoint_is_space, result);
}

static bool method_isascii(struct render *r, const struct call *call, struct value *result)
{
    (void)r;
    *result = bool_value((call->subject.flags & STRING_ASCII) != 0);
    return true;
}

static bool method_isprintable(struct render *r, const struct call *call, struct value *result)
{
    if (!self(call).length) {
        *result = bool_value(true);
        return true;
    }
    return render_spend_bytes(r, self(call).length) &&
           all_characters(call, codepoint_is_printable, result);
}

static bool method_islower(struct render *r, const struct call *call, struct value *result)
{
    *result = bool_value(chars_is_lower(self(call)));
    return render_spend_bytes(r, self(call).length);
}

static bool method_isupper(struct render *r, const struct call *call, struct value *result)
{
    *result = bool_value(chars_is_upper(self(call)));
    return render_spend_bytes(r, self(call).length);
}

static bool method_istitle(struct render *r, const struct call *call, struct value *result)
{
    struct text_ref text = self(call);
    bool in_word = false, any = false, ok = true;
    for (size_t at = 0; ok && at < text.length;) {
        uint32_t c = chars_next(text, &at);
        bool upper = codepoint_is_upper(c) || codepoint_is_title(c), lower = codepoint_is_lower(c);
        ok = !(upper && in_word) && !(lower && !in_word);
        in_word = upper || lower;
        any |= in_word;
    }
    *result = bool_value(ok && any);
    return render_spend_bytes(r, text.length);
}

static bool method_isidentifier(struct render *r, const struct call *call, struct value *result)
{
    struct text_ref text = self(call);
    bool ok = text.length > 0;
    for (size_t at = 0; ok && at < text.length;) {
        bool first = at == 0;
        ok = codepoint_is_name(chars_next(text, &at), first);
    }
    *result = bool_value(ok);
    return render_spend_bytes(r, text.length);
}

static bool method_refused(struct render *r, const struct call *call, struct value *result)
{
    (void)result;
    return render_fail_status(r, STATUS_UNSUPPORTED, "str.%s is not supported",
                              call->builtin->name);
}

static const struct builtin string_methods[] = {
    {"strip", method_strip, "/chars?"},
    {"lstrip", method_lstrip, "/chars?"},
    {"rstrip", method_rstrip, "/chars?"},
    {"split", method_split, "sep? maxsplit?"},
    {"rsplit", method_rsplit, "sep? maxsplit?"},
    {"splitlines", method_splitlines, "keepends?"},
    {"startswith", method_startswith, "/prefix start? end?"},
    {"endswith", method_endswith, "/suffix start? end?"},
    {"replace", method_replace, "/old new count?"},
    {"find", method_find, "/sub start? end?"},
    {"rfind", method_rfind, "/sub start? end?"},
    {"index", method_index, "/sub start? end?"},
    {"rindex", method_rindex, "/sub start? end?"},
    {"count", method_count, "/sub start? end?"},
    {"join", method_join, "/iterable"},
    {"upper", method_upper, "/"},
    {"lower", method_lower, "/"},
    {"title", method_title, "/"},
    {"capitalize", method_capitalize, "/"},
    {"swapcase", method_swapcase, "/"},
    {"isdigit", method_isdigit, "/"},
    {"isdecimal", method_isdecimal, "/"},
    {"isnumeric", method_isnumeric, "/"},
    {"isalpha", method_isalpha, "/"},
    {"isalnum", method_isalnum, "/"},
    {"isspace", method_isspace, "/"},
    {"isascii", method_isascii, "/"},
    {"isprintable", method_isprintable, "/"},
    {"isupper", method_isupper, "/"},
    {"islower", method_islower, "/"},
    {"istitle", method_istitle, "/"},
    {"isidentifier", method_isidentifier, "/"},
    {"format", method_format, "*"},
    {"removeprefix", method_removeprefix, "/prefix"},
    {"removesuffix", method_removesuffix, "/suffix"},
    {"partition", method_partition, "/sep"},
    {"rpartition", method_rpartition, "/sep"},
    {"zfill", method_zfill, "/width"},
    {"ljust", method_ljust, "/width fillchar?"},
    {"rjust", method_rjust, "/width fillchar?"},
    {"center", method_center, "/width fillchar?"},
    {"expandtabs", method_expandtabs, "tabsize?"},
    {"encode", method_refused, "*"},
    {"translate", method_refused, "*"},
    {"maketrans", method_refused, "*"},
    {"format_map", method_refused, "*"},
    {"casefold", method_lower, "/"},
    {0}};

const struct builtin *find_string_method(struct text_ref name)
{
    return find_builtin(string_methods, name);
}
