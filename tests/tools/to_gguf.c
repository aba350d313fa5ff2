/* to_gguf MODEL OUT.gguf: a checkpoint as a GGUF file of the same types, for the tests. */
#include "formats/gguf_export.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct error err = {0};
    struct checkpoint *cp = NULL;
    if (argc != 3 || checkpoint_open(argv[1], &cp, &err) ||
        checkpoint_write_gguf(cp, argv[2], KEEP_TYPES, &err)) {
        fprintf(stderr, "to_gguf: %s\n", argc == 3 ? err.message : "MODEL OUT.gguf expected");
        checkpoint_close(cp);
        return 1;
    }
    checkpoint_close(cp);
    return 0;
}
