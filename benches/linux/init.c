// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The only process of the machine on which Linux is measured: loads the module, which ends the machine. What stands behind `--` on the kernel's
 * command line are the module's parameters.
 *
 * There is no C library.
 */

static int call(int number, int a, int b, int c)
{
	int result;

	asm volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
	return result;
}

enum { WRITE = 4, OPEN = 5, REBOOT = 88, FINIT_MODULE = 350 };

__attribute__((used)) static void run(int argc, char **argv)
{
	static const char failed[] = "init: the module did not end the machine\n";
	static char parameters[1024];
	int module = call(OPEN, (int)"/highmem_bench.ko", 0, 0);
	unsigned int length = 0;

	/* All arguments in one string, with spaces between them. */
	for (int i = 1; i < argc; i++) {
		for (const char *from = argv[i]; *from && length < sizeof(parameters) - 64; from++)
			parameters[length++] = *from;
		parameters[length++] = ' ';
	}
	call(FINIT_MODULE, module, (int)parameters, 0);
	call(WRITE, 1, (int)failed, sizeof(failed) - 1);
	/* Restart, which QEMU takes for the end. */
	asm volatile("int $0x80" : : "a"(REBOOT), "b"(0xfee1dead), "c"(672274793), "d"(0x01234567), "S"(0));
	for (;;)
		;
}

asm(".globl _start\n"
    "_start:\n"
    "	movl (%esp), %eax\n"
    "	leal 4(%esp), %edx\n"
    "	pushl %edx\n"
    "	pushl %eax\n"
    "	call run\n");
