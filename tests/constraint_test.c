/* Constraints: which documents they permit, what they refuse and how they say it, masks against
 * trying every token, and answers of models under them. */
#include "constraint_fixture.h"

#include "base/clock.h"
#include "base/json.h"
#include "engine/engine.h"

/* --- Helpers --- */

static enum status compile_schema(const char *text, struct constraint **constraint,
                                  struct error *err)
{
    json_t *schema = json_parse("schema", text, strlen(text), err);
    assert_non_null(schema);
    enum status status = constraint_from_schema(schema, constraint, err);
    json_decref(schema);
    return status;
}

static struct constraint *from_schema(const char *text)
{
    struct constraint *constraint = NULL;
    struct error err = {0};
    if (compile_schema(text, &constraint, &err))
        fail_msg("%s: %s", text, err.message);
    return constraint;
}

static struct constraint *from_regex(const char *pattern)
{
    struct constraint *constraint = NULL;
    struct error err = {0};
    if (constraint_from_regex(pattern, strlen(pattern), &constraint, &err))
        fail_msg("%s: %s", pattern, err.message);
    return constraint;
}

struct documents {
    const char *source;
    const char *good[6], *bad[8];
};

static void check_documents(const struct documents *table, size_t n,
                            struct constraint *compile(const char *))
{
    for (size_t i = 0; i < n; i++) {
        struct constraint *constraint = compile(table[i].source);
        for (size_t j = 0; j < 6 && table[i].good[j]; j++)
            if (!accepts(constraint, table[i].good[j]))
                fail_msg("%s should permit %s", table[i].source, table[i].good[j]);
        for (size_t j = 0; j < 8 && table[i].bad[j]; j++)
            if (accepts(constraint, table[i].bad[j]))
                fail_msg("%s should not permit %s", table[i].source, table[i].bad[j]);
        constraint_release(constraint);
    }
}

/* --- What is permitted --- */

static void test_scalars(void **state)
{
    (void)state;
    static const struct documents table[] = {
        {"{\"type\":\"integer\"}", {"0", "-7", "120"}, {"-0", "01", "1.0", "1e3", "", "-", "x"}},
        {"{\"type\":\"number\"}", {"0", "-0.5", "1.25e-3", "7"}, {"1.", ".5", "+1", "1e", "00"}},
        {"{\"type\":[\"null\",\"boolean\"]}", {"null", "true", "false"}, {"nul", "0", "nulll"}},
        {"{\"type\":\"string\"}",
         {"\"\"", "\"a b\"", "\"\\\"\\\\\\n\\u0001\"", "\"\xE4\xB8\xAD\xF0\x9F\x98\x80\""},
         {"\"", "\"a", "\"\n\"", "\"\\x\"", "\"\xE4\xB8\"", "\"\xED\xA0\x80\"", "\"\\u0041\""}},
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
         {"\"ab\"", "\"\xE4\xB8\xAD\xE4\xB8\xAD\xE4\xB8\xAD\"", "\"\\n\\n\""},
         {"\"a\"", "\"abcd\"", "\"\"", "\"\\n\""}},
        {"{\"enum\":[\"a\",1,null,[1,{\"b\":2}],1.5]}",
         {"\"a\"", "1", "null", "[1, {\"b\": 2}]", "1.5"},
         {"2", "\"b\"", "[1]", "1.0"}},
        {"{\"const\":\"x\\ty/\"}", {"\"x\\ty/\""}, {"\"x y/\"", "\"x\\ty\\/\""}},
        {"{\"enum\":[1,2,3,10],\"minimum\":2,\"maximum\":9}", {"2", "3"}, {"1", "10"}},
        {"{\"enum\":[\"ab\",\"b\",4],\"type\":\"string\",\"maxLength\":1}",
         {"\"b\""},
         {"\"ab\"", "4"}},
    };
    check_documents(table, sizeof table / sizeof *table, from_schema);
}

static void test_numbers_between(void **state)
{
    (void)state;
    static const struct documents table[] = {
        {"{\"type\":\"integer\",\"minimum\":-12,\"maximum\":105}",
         {"-12", "-9", "0", "99", "100", "105"},
         {"-13", "106", "110", "1000", "-100", "-"}},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":3}",
         {"1", "2"},
         {"0", "3", "-1"}},
        {"{\"type\":\"number\",\"minimum\":0.5,\"exclusiveMaximum\":2}",
         {"0.5", "0.75", "1", "1.999999"},
         {"0.49", "2", "2.0", "0", "0.4999", "1e0", "-1"}},
        {"{\"type\":\"number\",\"maximum\":-2.5}",
         {"-2.5", "-2.50", "-3", "-1000"},
         {"-2.4", "-2", "0", "5", "-2.49"}},
        {"{\"type\":\"integer\",\"minimum\":2.5}", {"3", "10", "100"}, {"2", "0", "-3"}},
        {"{\"type\":\"integer\",\"multipleOf\":7,\"minimum\":1,\"maximum\":100}",
         {"7", "14", "98"},
         {"0", "1", "8", "105", "-7"}},
        {"{\"multipleOf\":4,\"allOf\":[{\"multipleOf\":6}],\"type\":\"number\"}",
         {"0", "12", "-24"},
         {"4", "6", "12.5"}},
        {"{\"type\":\"number\",\"minimum\":1e-7,\"maximum\":1e-6}",
         {"0.0000001", "0.000001"},
         {"0.00000009", "0", "0.0000011"}},
    };
    check_documents(table, sizeof table / sizeof *table, from_schema);
}

/* Every bound from -15 to 15, against every number from -20 to 20 in halves. */
static void test_all_small_ranges(void **state)
{
    (void)state;
    for (int low = -15; low <= 15; low += 2)
        for (int high = low; high <= 15; high += 3)
            for (unsigned open = 0; open < 4; open++) {
                char schema[200];
                snprintf(schema, sizeof schema, "{\"type\":\"number\",\"%s\":%g,\"%s\":%g}",
                         open & 1 ? "exclusiveMinimum" : "minimum", low / 2.0,
                         open & 2 ? "exclusiveMaximum" : "maximum", high / 2.0);
                struct constraint *constraint = NULL;
                if (low == high && open) {
                    assert_int_equal(compile_schema(schema, &constraint, NULL), STATUS_INVALID);
                    continue;
                }
                constraint = from_schema(schema);
                for (int twice = -20; twice <= 20; twice++) {
                    char text[20];
                    snprintf(text, sizeof text, "%g", twice / 2.0);
                    bool inside = (open & 1 ? twice > low : twice >= low) &&
                                  (open & 2 ? twice < high : twice <= high);
                    if (accepts(constraint, text) != inside)
                        fail_msg("%s and %s", schema, text);
                }
                constraint_release(constraint);
            }
}

static void test_strings_with_patterns(void **state)
{
    (void)state;
    static const struct documents table[] = {
        {"{\"type\":\"string\",\"pattern\":\"^a+$\"}", {"\"a\"", "\"aaa\""}, {"\"\"", "\"ab\""}},
        {"{\"type\":\"string\",\"pattern\":\"b\"}",
         {"\"b\"", "\"abc\"", "\"\\nb\""},
         {"\"\"", "\"ac\""}},
        {"{\"type\":\"string\",\"pattern\":\"^(abc)+$\",\"maxLength\":7,\"minLength\":4}",
         {"\"abcabc\""},
         {"\"abc\"", "\"abcabcabc\"", "\"abca\""}},
        {"{\"type\":\"string\",\"pattern\":\"^[^x\\\"]{2}$\"}",
         {"\"\\n\\\\\"", "\"\xC3\xA9y\""},
         {"\"\\\"a\"", "\"xa\""}},
        {"{\"allOf\":[{\"pattern\":\"^a\"},{\"pattern\":\"z$\"}],\"type\":\"string\"}",
         {"\"az\"", "\"abz\""},
         {"\"a\"", "\"z\"", "\"za\""}},
        {"{\"type\":\"string\",\"format\":\"date\"}",
         {"\"2024-02-29\"", "\"2000-02-29\""},
         {"\"2023-02-29\"", "\"1900-02-29\"", "\"2024-13-01\"", "\"2024-04-31\"",
          "\"0000-01-01\""}},
        {"{\"type\":\"string\",\"format\":\"date-time\"}",
         {"\"2024-02-29T23:59:59.5+01:30\""},
         {"\"2024-02-29 23:59:59Z\"", "\"2024-02-29T24:00:00Z\"", "\"2024-02-29T23:59:59\""}},
        {"{\"type\":\"string\",\"format\":\"uuid\"}",
         {"\"2eb8aa08-AA98-11ea-b4aa-73b441d16380\""},
         {"\"2eb8aa08-aa98-11ea-b4aa73b441d16380\""}},
        {"{\"type\":\"string\",\"format\":\"email\"}",
         {"\"a.b+c@example.org\""},
         {"\"a..b@example.org\"", "\"a@b@c\"", "\"@b\"", "\"a@-b\""}},
        {"{\"type\":\"string\",\"format\":\"ipv4\"}",
         {"\"192.168.0.255\""},
         {"\"256.1.1.1\"", "\"1.1.1\"", "\"01.1.1.1\""}},
        {"{\"type\":\"string\",\"format\":\"ipv6\"}",
         {"\"::1\"", "\"fe80::a:b\"", "\"::\""},
         {"\":::\"", "\"1::2::3\"", "\"12345::\""}},
        {"{\"type\":\"string\",\"format\":\"uri\"}",
         {"\"https://u@example.org:80/a%20b?q=1#f\"", "\"urn:a:b\"", "\"http://[::1]/\""},
         {"\"//example.org\"", "\"http://a b\"", "\"http://a/%2\"", "\"1a:b\""}},
        {"{\"type\":\"string\",\"format\":\"hostname\"}",
         {"\"a-b.example\""},
         {"\"-a\"", "\"a..b\"", "\"a-\"", "\"a_b\""}},
        {"{\"type\":\"string\",\"format\":\"duration\"}",
         {"\"P1Y2M3DT4H5M6S\"", "\"P2W\""},
         {"\"P\"", "\"PT\"", "\"P1D2H\"", "\"P1Y1W\""}},
    };
    check_documents(table, sizeof table / sizeof *table, from_schema);
}

static void test_objects(void **state)
{
    (void)state;
    static const struct documents table[] = {
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"const\":1}},"
         "\"required\":[\"b\"],\"additionalProperties\":false}",
         {"{\"a\":1,\"b\":1}", "{\"b\": 1}", "{ \"a\": 5,\n  \"b\": 1\n}", "{\"b\":1 }"},
         {"{}", "{\"a\": 1}", "{\"b\": 1, \"a\": 1}", "{\"b\": 1, \"b\": 1}", "{\"b\": 2}",
          "{\"b\": 1,}", "{,\"b\": 1}", "{\"b\" : 1}"}},
        {"{\"type\":\"object\",\"properties\":{\"a\":true},\"additionalProperties\":"
         "{\"type\":\"null\"}}",
         {"{}", "{\"a\": [1]}", "{\"x\": null, \"\": null}", "{\"a\": 0, \"b\": null}"},
         {"{\"x\": 1}", "{\"x\": null, \"x\": null}", "{\"x\": null, \"a\": 1}",
          "{\"x\": null, \"y\": null, \"x\": null}"}},
        {"{\"type\":\"object\",\"patternProperties\":{\"^n\":{\"type\":\"integer\"},\"s$\":{"
         "\"maximum\":5}},\"additionalProperties\":false}",
         {"{\"n\": 9}", "{\"xs\": 5}", "{\"ns\": 5, \"xs\": \"any\"}"},
         {"{\"ns\": 9}", "{\"x\": 1}", "{\"n\": 1.5}", "{\"ns\": \"any\"}"}},
        {"{\"type\":\"object\",\"required\":[\"q\"]}",
         {"{\"q\": [{}]}", "{\"q\": 1, \"r\": 2}"},
         {"{}", "{\"r\": 2}"}},
        {"{\"properties\":{\"a\":{\"type\":\"string\"}},\"allOf\":[{\"properties\":{\"a\":{"
         "\"maxLength\":1},\"b\":false}}],\"type\":\"object\"}",
         {"{\"a\": \"x\"}", "{}", "{\"c\": 1}"},
         {"{\"a\": \"xx\"}", "{\"a\": 1}", "{\"b\": 1}"}},
        {"{\"type\":\"object\",\"properties\":{\"\\u00e9\\\"\\n\":{}},\"required\":"
         "[\"\\u00e9\\\"\\n\"],\"additionalProperties\":false}",
         {"{\"\xC3\xA9\\\"\\n\": 1}"},
         {"{}", "{\"e\": 1}"}},
    };
    check_documents(table, sizeof table / sizeof *table, from_schema);
}

static void test_arrays(void **state)
{
    (void)state;
    static const struct documents table[] = {
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}",
         {"[1]", "[1,2]", "[ 1, 2,\n 3 ]"},
         {"[]", "[1,2,3,4]", "[1,]", "[,1]", "[\"a\"]", "[1 2]"}},
        {"{\"type\":\"array\",\"prefixItems\":[{\"const\":\"a\"},{\"type\":\"null\"}],"
         "\"items\":{\"type\":\"boolean\"}}",
         {"[]", "[\"a\"]", "[\"a\", null]", "[\"a\", null, true, false]"},
         {"[null]", "[\"a\", true]", "[\"a\", null, null]"}},
        {"{\"type\":\"array\",\"prefixItems\":[{\"const\":\"a\"}],\"items\":false}",
         {"[]", "[\"a\"]"},
         {"[\"a\", 1]"}},
        {"{\"type\":\"array\",\"minItems\":2}", {"[1, [2]]", "[{}, \"\", null]"}, {"[]", "[1]"}},
        {"{\"type\":\"array\"}", {"[]", "[1,2]"}, {"[,]", "[1,]", "[1, 2, ]"}},
        {"{\"type\":\"array\",\"maxItems\":0}", {"[]", "[ ]"}, {"[1]"}},
    };
    check_documents(table, sizeof table / sizeof *table, from_schema);
}

static void test_combinations(void **state)
{
    (void)state;
    static const struct documents table[] = {
        {"{\"anyOf\":[{\"type\":\"integer\",\"maximum\":3},{\"type\":\"string\",\"maxLength\":1}]}",
         {"3", "-5", "\"a\""},
         {"4", "\"ab\"", "null"}},
        {"{\"minimum\":2,\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]}",
         {"2", "null"},
         {"1", "2.5"}},
        {"{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"},\"x\":{}},"
         "\"required\":[\"k\",\"x\"],\"additionalProperties\":false},{\"type\":\"object\","
         "\"properties\":{\"k\":{\"enum\":[\"b\",\"c\"]}},\"required\":[\"k\"],"
         "\"additionalProperties\":false}]}",
         {"{\"k\": \"a\", \"x\": 1}", "{\"k\": \"c\"}"},
         {"{\"k\": \"a\"}", "{\"k\": \"c\", \"x\": 1}"}},
        {"{\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},"
         "\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/n\"},{\"type\":\"null\"}]}},\"required\":[\"v\","
         "\"next\"],\"additionalProperties\":false}},\"$ref\":\"#/$defs/n\"}",
         {"{\"v\": 1, \"next\": null}",
          "{\"v\": 1, \"next\": {\"v\": 2, \"next\": {\"v\": 3, \"next\": null}}}"},
         {"{\"v\": 1}", "null"}},
        {"{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}", {"[]", "[[], [[]]]"}, {"[1]", "[[]"}},
        {"{\"$anchor\":\"root\",\"type\":\"array\",\"items\":{\"$ref\":\"#root\"}}",
         {"[[]]"},
         {"[1]"}},
        {"true", {"1", "{\"a\": [null]}", "\"\""}, {"", "{"}},
        {"{\"title\":\"T\",\"description\":\"D\",\"default\":3,\"examples\":[1],\"$comment\":"
         "\"c\",\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$id\":\"x:y\","
         "\"deprecated\":true,\"readOnly\":true,\"uniqueItems\":false,\"type\":\"null\"}",
         {"null"},
         {"3"}},
    };
    check_documents(table, sizeof table / sizeof *table, from_schema);
}

/* What a schema must not be, and what depends on what else there is. */
static void test_conditions(void **state)
{
    (void)state;
    static const struct documents table[] = {
        {"{\"not\":{\"type\":[\"string\",\"integer\",\"object\"]}}",
         {"null", "[1]", "true", "0.5", "-12.125"},
         {"\"\"", "1", "{}", "2.0", "1.5e1"}},
        {"{\"not\":{\"enum\":[\"ab\",\"a\",\"\xC3\xA9\",\"\",7,-2.5,true,{}]}}",
         {"\"b\"", "\"aba\"", "\"aa\"", "6", "7.5", "false"},
         {"\"a\"", "\"ab\"", "\"\xC3\xA9\"", "\"\"", "7", "-2.5", "true", "{}"}},
        {"{\"type\":\"object\",\"not\":{\"required\":[\"a\",\"b\"]}}",
         {"{}", "{\"a\": 1}", "{\"b\": 1, \"c\": 2}"},
         {"{\"a\": 1, \"b\": 2}"}},
        {"{\"type\":\"integer\",\"not\":{\"minimum\":3,\"maximum\":5}}",
         {"2", "6"},
         {"3", "4", "5"}},
        {"{\"type\":\"array\",\"not\":{\"items\":{\"type\":\"null\"}}}",
         {"[1]", "[null, 1, null]"},
         {"[]", "[null]", "[null, null]"}},
        {"{\"not\":{\"not\":{\"anyOf\":[{\"const\":1},{\"minLength\":2,\"type\":\"string\"}]}}}",
         {"1", "\"ab\""},
         {"2", "\"a\"", "null"}},
        {"{\"type\":\"object\",\"properties\":{\"k\":{\"enum\":[\"a\",\"b\"]}},\"required\":[\"k\"]"
         ","
         "\"if\":{\"properties\":{\"k\":{\"const\":\"a\"}}},\"then\":{\"required\":[\"x\"]},"
         "\"else\":{\"maxProperties\":1}}",
         {"{\"k\": \"a\", \"x\": 1}", "{\"k\": \"b\"}"},
         {"{\"k\": \"a\"}", "{\"k\": \"b\", \"x\": 1}", "{\"k\": \"a\", \"y\": 1}"}},
        {"{\"type\":\"object\",\"dependentRequired\":{\"a\":[\"b\"]},\"dependentSchemas\":{\"c\":"
         "{\"maxProperties\":1}}}",
         {"{}", "{\"b\": 1}", "{\"a\": 1, \"b\": 2}", "{\"c\": 1}"},
         {"{\"a\": 1}", "{\"c\": 1, \"d\": 2}", "{\"d\": 1, \"c\": 2}", "{\"d\": 1, \"a\": 2}"}},
        {"{\"oneOf\":[{\"type\":\"integer\",\"minimum\":0},{\"type\":\"integer\",\"maximum\":9}]}",
         {"-1", "10"},
         {"0", "5", "9"}},
    };
    check_documents(table, sizeof table / sizeof *table, from_schema);
}

static void test_unevaluated(void **state)
{
    (void)state;
    static const struct documents table[] = {
        {"{\"type\":\"object\",\"allOf\":[{\"$ref\":\"#/$defs/base\"}],\"properties\":{\"b\":{}},"
         "\"patternProperties\":{\"^x\":{}},\"unevaluatedProperties\":false,"
         "\"$defs\":{\"base\":{\"properties\":{\"a\":{\"type\":\"integer\"}}}}}",
         {"{}", "{\"b\": 1}", "{\"b\": 1, \"a\": 2}", "{\"x1\": 1}"},
         {"{\"c\": 1}", "{\"a\": \"\"}", "{\"b\": 1, \"y\": 2}"}},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"unevaluatedProperties\":{\"type\":"
         "\"integer\"}}",
         {"{\"a\": \"\"}", "{\"a\": \"\", \"b\": 1}"},
         {"{\"b\": \"\"}", "{\"b\": 1.5}"}},
        /* A schema below allOf does not see what stands beside it; the one above sees all. */
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},"
         "\"allOf\":[{\"properties\":{\"b\":{}},\"unevaluatedProperties\":false}]}",
         {"{}", "{\"b\": 1}"},
         {"{\"a\": 1}"}},
        {"{\"type\":\"object\",\"allOf\":[{\"unevaluatedProperties\":{\"type\":\"null\"}}],"
         "\"unevaluatedProperties\":false}",
         {"{}", "{\"a\": null}"},
         {"{\"a\": 1}"}},
        /* Branches that look at nothing else are no obstacle, and what "not" looks at is not
         * looked at. */
        {"{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"unevaluatedProperties\":false,"
         "\"anyOf\":[{\"required\":[\"a\"]},{\"properties\":{\"b\":{\"const\":1}},"
         "\"required\":[\"b\"]}],\"not\":{\"required\":[\"c\"]}}",
         {"{\"a\": 1}", "{\"b\": 1}", "{\"a\": 1, \"b\": 2}"},
         {"{\"b\": 2}", "{\"a\": 1, \"c\": 1}", "{}"}},
        {"{\"type\":\"array\",\"allOf\":[{\"prefixItems\":[{},{\"type\":\"null\"}]}],"
         "\"prefixItems\":[{"
         "\"type\":\"integer\"}],\"unevaluatedItems\":false}",
         {"[]", "[1]", "[1, null]"},
         {"[\"\"]", "[1, 2]", "[1, null, 3]"}},
        {"{\"type\":\"array\",\"unevaluatedItems\":{\"type\":\"integer\"}}",
         {"[]", "[1, 2]"},
         {"[\"\"]"}},
        {"{\"type\":\"array\",\"allOf\":[{\"items\":{\"type\":\"integer\"}}],\"unevaluatedItems\":"
         "false}",
         {"[1, 2]"},
         {"[\"\"]"}},
        {"{\"type\":\"array\",\"allOf\":[{\"prefixItems\":[{}],\"allOf\":[{\"$ref\":\"#/allOf/"
         "0\"}]}],"
         "\"unevaluatedItems\":false}",
         {"[]", "[1]"},
         {"[1, 2]"}},
    };
    check_documents(table, sizeof table / sizeof *table, from_schema);
}

static void test_counts_and_names(void **state)
{
    (void)state;
    static const struct documents table[] = {
        {"{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":2,\"properties\":{\"a\":{}}}",
         {"{\"a\": 1}", "{\"x\": 1}", "{\"a\": 1, \"x\": 2}", "{\"x\": 1, \"y\": 2}"},
         {"{}", "{\"a\": 1, \"x\": 2, \"y\": 3}"}},
        {"{\"type\":\"object\",\"minProperties\":3}",
         {"{\"a\": 1, \"b\": 2, \"c\": 3}", "{\"a\": 1, \"b\": 2, \"c\": 3, \"d\": 4}"},
         {"{\"a\": 1, \"b\": 2}", "{}"}},
        {"{\"type\":\"object\",\"maxProperties\":0}", {"{}"}, {"{\"a\": 1}"}},
        {"{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[a-c]+$\"},\"properties\":"
         "{\"d\":{},\"a\":{\"type\":\"null\"}}}",
         {"{}", "{\"a\": null, \"abc\": 1}"},
         {"{\"d\": 1}", "{\"x\": 1}", "{\"a\": 1}"}},
        {"{\"type\":\"object\",\"propertyNames\":{\"enum\":[\"x\",\"y\",3]},"
         "\"additionalProperties\":{\"type\":\"integer\"}}",
         {"{}", "{\"x\": 1}", "{\"x\": 1, \"y\": 2}"},
         {"{\"z\": 1}", "{\"x\": \"a\"}", "{\"x\": 1, \"x\": 2}"}},
        {"{\"type\":\"object\",\"propertyNames\":false}", {"{}"}, {"{\"a\": 1}"}},
        {"{\"type\":\"array\",\"contains\":{\"type\":\"null\"}}",
         {"[null]", "[1, null]", "[null, 2, null]"},
         {"[]", "[1]"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"contains\":{\"minimum\":5},"
         "\"minContains\":2,\"maxContains\":3,\"maxItems\":4}",
         {"[5, 6]", "[1, 5, 7, 9]", "[5, 1, 9]"},
         {"[5]", "[5, 6, 7, 8]", "[1, 2, 5]", "[5, 5, 1, 1, 1]", "[]"}},
        {"{\"type\":\"array\",\"contains\":true,\"minContains\":0,\"maxContains\":1}",
         {"[]", "[1]"},
         {"[1, 2]"}},
    };
    check_documents(table, sizeof table / sizeof *table, from_schema);
}

static void test_regexes(void **state)
{
    (void)state;
    static const struct documents table[] = {
        {"(yes|no)", {"yes", "no"}, {"", "y", "yesno"}},
        {"a*b?", {"", "aaa", "aab", "b"}, {"ba", "bb"}},
        {"[a-c]{2,3}x", {"abx", "cccx"}, {"ax", "aaaax", "abc"}},
        {"\\d+\\.\\d{2}", {"1.00", "12.34"}, {"1.0", ".00", "1,00"}},
        {"[^a]", {"b", "\n", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80"}, {"a", "", "bb", "\xE4\xB8"}},
        {".", {"x", "\xC3\xA9"}, {"\n", "\xE2\x80\xA8"}},
        {"\\u4e2d|\\x41|\\u{1F600}", {"\xE4\xB8\xAD", "A", "\xF0\x9F\x98\x80"}, {"B"}},
        {"^(?:a|(?<n>b))$", {"a", "b"}, {"c"}},
        {"a{,2}", {"a{,2}"}, {"a", "aa"}},
        {"[\\w-]+?\\s", {"a-_9 ", "x\xC2\xA0"}, {"a", "."}},
        {"[\\]\\-x]*", {"]-x", ""}, {"a"}},
        {"(a|b)*abb", {"abb", "babaabb"}, {"ab", "abba"}},
        {"a|", {"a", ""}, {"aa"}},
    };
    check_documents(table, sizeof table / sizeof *table, from_regex);
}

/* --- What is refused --- */

static void test_refused_schemas(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        enum status status;
        const char *message;
    } table[] = {
        {"{\"properties\":{\"a/b\":{\"not\":{\"pattern\":\"a\"}}}}", STATUS_UNSUPPORTED,
         "#/properties/a~1b: \"not\": "},
        {"{\"if\":{\"pattern\":\"a\"},\"then\":{}}", STATUS_UNSUPPORTED, "#: \"if\": "},
        {"{\"items\":{\"uniqueItems\":true}}", STATUS_UNSUPPORTED, "#/items: \"uniqueItems\": "},
        {"{\"anyOf\":[{},{\"contains\":{\"type\":\"null\"},\"unevaluatedItems\":{}}]}",
         STATUS_UNSUPPORTED, "#/anyOf/1: \"unevaluatedItems\": "},
        {"{\"anyOf\":[{\"prefixItems\":[{}]},{}],\"unevaluatedItems\":false}", STATUS_UNSUPPORTED,
         "#: \"unevaluatedItems\": "},
        {"{\"$defs\":{\"a\":{\"oneOf\":[{\"properties\":{\"x\":{}}},{}]}},\"$ref\":\"#/$defs/a\","
         "\"unevaluatedProperties\":false}",
         STATUS_UNSUPPORTED, "#: \"unevaluatedProperties\": "},
        {"{\"if\":{\"required\":[\"x\"]},\"then\":{\"additionalProperties\":true},"
         "\"unevaluatedProperties\":false}",
         STATUS_UNSUPPORTED, "#: \"unevaluatedProperties\": "},
        {"{\"dependentSchemas\":{\"x\":{\"patternProperties\":{\"^a\":{}}}},"
         "\"unevaluatedProperties\":false}",
         STATUS_UNSUPPORTED, "#: \"unevaluatedProperties\": "},
        {"{\"unevaluatedProperties\":1}", STATUS_INVALID, "additionalProperties"},
        {"{\"contains\":{\"format\":\"date\"},\"maxContains\":1}", STATUS_UNSUPPORTED,
         "#: \"contains\": "},
        {"{\"propertyNames\":{\"maxLength\":3}}", STATUS_UNSUPPORTED, "#: \"propertyNames\": "},
        {"{\"type\":\"object\",\"minProperties\":201}", STATUS_LIMIT, "200"},
        {"{\"dependentRequired\":[]}", STATUS_INVALID, "#: \"dependentRequired\": "},
        {"{\"tpye\":\"string\"}", STATUS_UNSUPPORTED, "\"tpye\""},
        {"{\"type\":\"text\"}", STATUS_INVALID, "\"type\""},
        {"{\"minLength\":-1}", STATUS_INVALID, "\"minLength\""},
        {"{\"minLength\":1.5}", STATUS_INVALID, "\"minLength\""},
        {"{\"minimum\":\"1\"}", STATUS_INVALID, "\"minimum\""},
        {"{\"pattern\":\"(\"}", STATUS_INVALID, "at byte 0"},
        {"{\"pattern\":\"a(?=b)\"}", STATUS_UNSUPPORTED, "look-around"},
        {"{\"pattern\":\"(a)\\\\1\"}", STATUS_UNSUPPORTED, "back-references"},
        {"{\"format\":\"regex\"}", STATUS_UNSUPPORTED, "date-time"},
        {"{\"multipleOf\":0.1}", STATUS_UNSUPPORTED, "\"multipleOf\""},
        {"{\"multipleOf\":0}", STATUS_INVALID, "\"multipleOf\""},
        {"{\"$ref\":\"#/$defs/none\"}", STATUS_UNSUPPORTED, "leads nowhere"},
        {"{\"$ref\":\"https://example.org/s\"}", STATUS_UNSUPPORTED, "leads nowhere"},
        {"{\"oneOf\":[{\"format\":\"date\"},{\"format\":\"email\"}]}", STATUS_UNSUPPORTED,
         "branches 0 and 1"},
        {"{\"type\":\"string\",\"enum\":[1]}", STATUS_INVALID, "nothing is permitted"},
        {"{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", STATUS_INVALID,
         "nothing is permitted"},
        {"false", STATUS_INVALID, "nothing is permitted"},
        {"{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"],\"type\":\"object\"}",
         STATUS_INVALID, "nothing is permitted"},
        {"{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", STATUS_INVALID, "$ref"},
        {"{\"maxItems\":1000000,\"type\":\"array\"}", STATUS_LIMIT, "20000"},
        {"{\"patternProperties\":{\"^[ab]$\":{}},\"type\":\"object\"}", STATUS_UNSUPPORTED,
         "patternProperties"},
        {"[]", STATUS_INVALID, "neither an object nor a boolean"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct constraint *constraint = NULL;
        struct error err = {0};
        enum status status = compile_schema(table[i].schema, &constraint, &err);
        if (status != table[i].status || !strstr(err.message, table[i].message))
            fail_msg("%s: status %d, %s", table[i].schema, (int)status, err.message);
        assert_null(constraint);
    }
}

static void test_refused_regexes(void **state)
{
    (void)state;
    static const char *const patterns[] = {"(",         "a)",    "[a",          "*a",  "a**+",
                                           "a{3,2}",    "\\",    "[b-a]",       "\\q", "(?<n",
                                           "a{200000}", "\\u12", "\\u{110000}", "^*",  "\xFF"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct constraint *constraint = NULL;
        struct error err = {0};
        if (!constraint_from_regex(patterns[i], strlen(patterns[i]), &constraint, &err))
            fail_msg("%s should be refused", patterns[i]);
        assert_true(err.message[0]);
    }
}

/* Inputs made to take all memory or all time end soon, with an error. */
static void test_hostile_inputs(void **state)
{
    (void)state;
    static const char *const patterns[] = {"(a|b)*a(a|b){25}", "((a{1,1000}){1,1000}){1,1000}",
                                           "(.{0,300}){0,300}", "(x?){5000}y(x|y){5000}z.*z"};
    double started = clock_cpu_seconds();
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct constraint *constraint = NULL;
        struct error err = {0};
        enum status status =
            constraint_from_regex(patterns[i], strlen(patterns[i]), &constraint, &err);
        if (status != STATUS_OK && status != STATUS_LIMIT)
            fail_msg("%s: %s", patterns[i], err.message);
        constraint_release(constraint);
    }
    struct strbuf deep = {0}, wide = {0};
    for (size_t i = 0; i < 60; i++)
        strbuf_add(&deep, "{\"allOf\":[{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]},");
    strbuf_add(&deep, "true");
    for (size_t i = 0; i < 60; i++)
        strbuf_add(&deep, "]}");
    struct constraint *constraint = NULL;
    enum status status = compile_schema(strbuf_text(&deep), &constraint, NULL);
    assert_true(status == STATUS_OK || status == STATUS_LIMIT);
    constraint_release(constraint);
    strbuf_truncate(&deep, 0); /* 2 to the 300th ways down */
    strbuf_add(&deep, "{\"unevaluatedItems\":false,\"if\":{\"$ref\":\"#/$defs/d0\"},\"$defs\":{");
    for (size_t i = 0; i < 300; i++)
        strbuf_printf(&deep,
                      "\"d%zu\":{\"anyOf\":[{\"$ref\":\"#/$defs/d%zu\"},"
                      "{\"$ref\":\"#/$defs/d%zu\"}]},",
                      i, i + 1, i + 1);
    strbuf_add(&deep, "\"d300\":true}}");
    constraint = NULL;
    status = compile_schema(strbuf_text(&deep), &constraint, NULL);
    assert_int_equal(status, STATUS_LIMIT);
    strbuf_add(&wide, "{\"type\":\"object\",\"properties\":{");
    for (size_t i = 0; i < 2000; i++)
        strbuf_printf(&wide, "%s\"p%zu\":{\"pattern\":\"(a|b)*%zu(a|b){9}\"}", i ? "," : "", i, i);
    strbuf_add(&wide, "}}");
    constraint = NULL;
    assert_int_equal(compile_schema(strbuf_text(&wide), &constraint, NULL), STATUS_LIMIT);
    strbuf_free(&deep);
    strbuf_free(&wide);
    assert_true(clock_cpu_seconds() - started < 60); /* sanitizers included; else a few seconds */
}

/* Nesting ends where the limit of depth is, and what is open can then still be closed. */
static void test_deep_documents_can_be_completed(void **state)
{
    (void)state;
    struct constraint *constraint =
        from_schema("{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"a\":{\"$"
                    "ref\":\"#\"}},"
                    "\"required\":[\"a\"],\"additionalProperties\":false},\"minItems\":0}");
    struct walker w;
    size_t depth = 0;
    assert_int_equal(walker_init(&w, &constraint->grammar, NULL), STATUS_OK);
    assert_int_equal(walker_accept(&w, "[", 1, NULL), STATUS_OK);
    for (;;) {
        struct walker_mark mark = walker_mark(&w);
        struct position_set set = walker_step(&w, w.now, '{');
        bool deeper = set.end > set.begin;
        walker_reset(&w, mark);
        if (!deeper)
            break;
        assert_int_equal(walker_accept(&w, "{\"a\":[", 6, NULL), STATUS_OK);
        assert_true(++depth <= GRAMMAR_DEPTH_LIMIT);
    }
    assert_true(depth > 50);
    assert_int_equal(walker_accept(&w, "]", 1, NULL), STATUS_OK);
    while (depth-- > 0)
        assert_int_equal(walker_accept(&w, "}]", 2, NULL), STATUS_OK);
    assert_true(w.now.may_end);
    walker_free(&w);
    constraint_release(constraint);
}

/* --- Masks --- */

/* The bits as they should be: every token tried by itself. */
static void check_mask(const struct tokenizer *tk, struct walker *w, const uint64_t *mask,
                       size_t n_ids)
{
    for (size_t id = 0; id < n_ids; id++) {
        const char *bytes = "";
        size_t length = tokenizer_token_bytes(tk, (int32_t)id, &bytes);
        bool possible =
            length > 0 && length <= TOKEN_TRIE_DEPTH && !tokenizer_is_special(tk, (int32_t)id);
        if (possible && w->text.length == 0 && tokenizer_drops_first_space(tk) && *bytes == ' ') {
            bytes++;
            possible = --length > 0;
        }
        struct walker_mark mark = walker_mark(w);
        struct position_set set = w->now;
        for (size_t i = 0; possible && i < length; i++) {
            set = walker_step(w, set, (uint8_t)bytes[i]);
            possible = set.end > set.begin || (set.may_end && i + 1 == length);
        }
        walker_reset(w, mark);
        if (possible != mask_has(mask, id))
            fail_msg("behind \"%s\": token %zu is %s", strbuf_text(&w->text), id,
                     possible ? "missing" : "wrong");
    }
}

static const char *const mask_schemas[] = {
    "{\"type\":\"object\"}",
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":9},"
    "\"n\":{\"type\":\"number\"},\"ok\":{\"type\":\"boolean\"}},\"required\":[\"name\"]}",
    "{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":\"string\",\"minLength\":3},{\"type\":"
    "\"integer\",\"minimum\":-20,\"maximum\":300},{\"$ref\":\"#\"}]},\"minItems\":2}",
    "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^[a-f]+(, [a-f]+)*$\"}}",
};

/* Random tokens of the schema; every mask on the way is checked. */
static void check_schema_masks(const struct tokenizer *tk, struct token_masker *masker,
                               const char *schema, uint64_t seed, size_t n_masks)
{
    struct constraint *constraint = from_schema(schema);
    struct walker w;
    struct error err = {0};
    struct rng rng;
    size_t n_ids = tokenizer_size(tk);
    uint64_t *mask = mem_array(token_masker_words(masker), sizeof *mask);
    assert_non_null(mask);
    rng_seed(&rng, seed);
    assert_int_equal(walker_init(&w, &constraint->grammar, &err), STATUS_OK);
    for (size_t step = 0; step < n_masks && w.now.end > w.now.begin; step++) {
        assert_int_equal(token_masker_fill(masker, &w, mask, &err), STATUS_OK);
        check_mask(tk, &w, mask, n_ids);
        int32_t token = choose(mask, n_ids, &rng);
        assert_true(token != VOCAB_NO_ID);
        assert_int_equal(token_masker_accept(masker, &w, token, &err), STATUS_OK);
    }
    walker_free(&w);
    constraint_release(constraint);
    mem_free(mask);
}

static struct token_masker *masker_of(const struct tokenizer *tk)
{
    struct token_masker *masker = NULL;
    struct error err = {0};
    assert_int_equal(token_masker_create(tk, tokenizer_size(tk), &masker, &err), STATUS_OK);
    return masker;
}

static void check_masks(const struct tokenizer *tk, size_t n_masks)
{
    struct token_masker *masker = masker_of(tk);
    for (size_t i = 0; i < sizeof mask_schemas / sizeof *mask_schemas; i++)
        check_schema_masks(tk, masker, mask_schemas[i], 5 + i, n_masks);
    token_masker_free(masker);
}

/* Masks are kept for whoever has the same leaf: the same schema again, but not one with other
 * bounds. */
static void check_shared_masks(const struct tokenizer *tk)
{
    static const char nine[] = "{\"type\":\"array\",\"items\":{\"type\":\"string\","
                               "\"minLength\":9,\"maxLength\":9},\"minItems\":9}";
    static const char eight[] = "{\"type\":\"array\",\"items\":{\"type\":\"string\","
                                "\"minLength\":8,\"maxLength\":9},\"minItems\":9}";
    struct token_masker *masker = masker_of(tk);
    check_schema_masks(tk, masker, nine, 3, 12);
    uint64_t explored = token_masker_explored(masker);
    assert_true(explored > 0);
    check_schema_masks(tk, masker, nine, 3, 12);
    assert_int_equal(token_masker_explored(masker), explored);
    check_schema_masks(tk, masker, eight, 3, 12);
    assert_true(token_masker_explored(masker) > explored);
    token_masker_free(masker);
}

static struct engine *open_random(const char *name, size_t n_sequences)
{
    char path[200];
    struct engine *engine = NULL;
    struct error err = {0};
    struct engine_options options = {.n_threads = 1, .max_sequences = n_sequences};
    snprintf(path, sizeof path, "%s/tandem-random-%s", models, name);
    if (engine_open(path, &options, &engine, &err))
        fail_msg("%s", err.message);
    return engine;
}

static void test_masks_of_small_vocabularies(void **state)
{
    (void)state;
    static const char *const names[] = {"qwen2", "phi3"};
    for (size_t i = 0; i < 2; i++) {
        struct engine *engine = open_random(names[i], 1);
        check_masks(engine_tokenizer(engine), 60);
        check_shared_masks(engine_tokenizer(engine));
        engine_close(engine);
    }
}

static void test_masks_of_qwen(void **state)
{
    (void)state;
    struct tokenizer *tk = shared_tokenizer("qwen2.5");
    check_masks(tk, 8);
    tokenizer_free(tk);
}

static void test_masks_of_phi(void **state)
{
    (void)state;
    struct tokenizer *tk = shared_tokenizer("phi-3-mini-4k");
    check_masks(tk, 20);
    tokenizer_free(tk);
}

/* --- Answers --- */

struct answer {
    char text[20000];
    size_t length, n_tokens;
    enum finish_reason finish;
};

static struct generation *submit(struct engine *engine, struct constraint *constraint,
                                 uint64_t seed, bool ignore_eos)
{
    static const int32_t prompt[] = {5, 6, 7};
    struct sampling sampling = sampling_greedy;
    sampling.greedy = seed == 0;
    sampling.temperature = 1.2;
    sampling.seed = seed;
    struct request request = {.prompt = prompt,
                              .n_prompt = 3,
                              .sampling = sampling,
                              .max_tokens = 400,
                              .ignore_eos = ignore_eos,
                              .constraint = constraint};
    struct generation *generation = NULL;
    struct error err = {0};
    if (engine_submit(engine, &request, &generation, &err))
        fail_msg("%s", err.message);
    return generation;
}

static void read_answer(struct generation *generation, struct answer *answer)
{
    struct event event;
    *answer = (struct answer){0};
    do {
        generation_next(generation, &event);
        assert_true(answer->length + event.text_length < sizeof answer->text);
        memcpy(answer->text + answer->length, event.text, event.text_length);
        answer->length += event.text_length;
    } while (event.kind != EVENT_END);
    answer->n_tokens = generation_stats(generation).answer_tokens;
    answer->finish = generation_stats(generation).finish;
    if (answer->finish == FINISH_ERROR)
        fail_msg("%s", generation_stats(generation).error.message);
    generation_free(generation);
}

/* The constraint may be given back as soon as the request is submitted. */
static void answer_with(struct engine *engine, struct constraint *constraint, uint64_t seed,
                        bool ignore_eos, struct answer *answer)
{
    struct generation *generation = submit(engine, constraint, seed, ignore_eos);
    constraint_release(constraint);
    read_answer(generation, answer);
}

static void test_answers_match(void **state)
{
    (void)state;
    static const char *const names[] = {"qwen2", "phi3"};
    static const char *const patterns[] = {"(yes|no)",
                                           "[a-c]{3}",
                                           "\\{\"n\": [0-9]{1,4}\\}",
                                           "\xE4\xB8\xAD\xE6\x96\x87\xF0\x9F\x98\x80",
                                           "( |x) leading",
                                           "[\\u0400-\\u04FF]{8}"};
    struct answer answer;
    for (size_t m = 0; m < 2; m++) {
        struct engine *engine = open_random(names[m], 1);
        for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
            for (uint64_t seed = 0; seed < 6; seed++) {
                struct constraint *again = from_regex(patterns[i]);
                answer_with(engine, from_regex(patterns[i]), seed, seed % 2, &answer);
                assert_int_equal(answer.finish, FINISH_EOS);
                if (!accepts(again, answer.text))
                    fail_msg("%s: %s for seed %d", patterns[i], answer.text, (int)seed);
                constraint_release(again);
            }
        engine_close(engine);
    }
}

/* A document that may go on ends by an end token; where these are ignored, it goes on. */
static void test_ends(void **state)
{
    (void)state;
    struct engine *engine = open_random("qwen2", 1);
    struct answer answer;
    size_t n_ended = 0;
    for (uint64_t seed = 1; seed < 12; seed++) {
        answer_with(engine, from_regex("a+"), seed, false, &answer);
        assert_true(answer.length > 0 && strspn(answer.text, "a") == answer.length);
        n_ended += answer.finish == FINISH_EOS;
        answer_with(engine, from_regex("a+"), seed, true, &answer);
        assert_int_equal(answer.finish, FINISH_LENGTH);
        assert_int_equal(answer.n_tokens, 400);
    }
    assert_true(n_ended > 0);
    engine_close(engine);
}

/* The same answers alone, and beside others with other constraints and with none. */
static void test_answers_do_not_depend_on_others(void **state)
{
    (void)state;
    enum { N = 6 };
    static struct answer alone[N], together[N];
    struct generation *generations[N];
    struct constraint *constraints[N] = {0};
    struct engine *one = open_random("qwen2", 1), *many = open_random("qwen2", 4);
    for (size_t i = 0; i < N; i++) {
        constraints[i] = i == 3 ? NULL : from_schema(mask_schemas[i % 4]);
        read_answer(submit(one, constraints[i], i + 1, false), &alone[i]);
    }
    for (size_t i = 0; i < N; i++)
        generations[i] = submit(many, constraints[i], i + 1, false);
    for (size_t i = 0; i < N; i++) {
        read_answer(generations[i], &together[i]);
        assert_string_equal(alone[i].text, together[i].text);
        assert_int_equal(alone[i].finish, together[i].finish);
        constraint_release(constraints[i]);
    }
    engine_close(one);
    engine_close(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_numbers_between),
        cmocka_unit_test(test_all_small_ranges),
        cmocka_unit_test(test_strings_with_patterns),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_combinations),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_unevaluated),
        cmocka_unit_test(test_counts_and_names),
        cmocka_unit_test(test_regexes),
        cmocka_unit_test(test_refused_schemas),
        cmocka_unit_test(test_refused_regexes),
        cmocka_unit_test(test_hostile_inputs),
        cmocka_unit_test(test_deep_documents_can_be_completed),
        cmocka_unit_test(test_masks_of_small_vocabularies),
        cmocka_unit_test(test_masks_of_qwen),
        cmocka_unit_test(test_masks_of_phi),
        cmocka_unit_test(test_answers_match),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_answers_do_not_depend_on_others),
    };
    return cmocka_run_group_tests(tests, make_models, remove_models);
}
