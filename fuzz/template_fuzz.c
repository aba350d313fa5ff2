/* Templates: the input is a template's source, rendered with a small context. */
#include "base/json.h"
#include "text/template.h"

#include <stddef.h>
#include <stdint.h>

static const char context_text[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
    "{\"role\":\"user\",\"content\":\"H\xC3\xA9llo <\xE4\xB8\x96>\"},"
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"123456789\","
    "\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1,2.5,true]}}}]}],"
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":"
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}}}],"
    "\"add_generation_prompt\":true,\"bos_token\":\"<s>\",\"x\":7,\"l\":[3,1,2],\"s\":\"a b,c\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static json_t *context;
    const struct template_limits limits = {
        .max_steps = 20000, .max_depth = 200, .max_output = 1 << 16, .max_memory = 1 << 22};
    struct template *template;
    struct error err = {0};
    struct strbuf out = {0};
    if (!context)
        context = json_parse("context", context_text, sizeof context_text - 1, &err);
    if (template_compile("fuzz", (const char *)data, size, &template, &err))
        return 0;
    template_render(template, context, &limits, &out, &err);
    strbuf_free(&out);
    template_free(template);
    return 0;
}
