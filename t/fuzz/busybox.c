/* Programs named busybox on PATH, which may be any file. */
#include "run/busybox.h"

#include "base/io.h"

#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A static program is an ELF file whose header and program headers are there. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	Elf64_Ehdr h;
	int fd = memfd_create("busybox", MFD_CLOEXEC);

	if (fd < 0 || io_write(fd, data, len) < 0)
		return 1;
	if (busybox_is_static(fd)) {
		if (len < sizeof h)
			abort();
		memcpy(&h, data, sizeof h);
		if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_phnum == 0 ||
		    h.e_phoff > len || h.e_phnum * sizeof(Elf64_Phdr) > len - h.e_phoff)
			abort();
		for (size_t i = 0; i < h.e_phnum; i++) {
			Elf64_Phdr p;
			memcpy(&p, data + h.e_phoff + i * sizeof p, sizeof p);
			if (p.p_type == PT_INTERP)
				abort();
		}
	}
	close(fd);
	return 0;
}
