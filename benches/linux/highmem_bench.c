// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * What Linux's maps of high memory cost, measured as benches/versus.rs measures ours: two runs of one loop, one twice as long as the other, and of
 * an empty loop, with interrupts off.
 *
 * Each line `bench NAME SHORT LONG ROUNDS UNITS` is a measurement: the ticks of both runs, the rounds of the shorter one, and how many operations
 * are in a round. Under QEMU's `-icount shift=0` a tick of the time-stamp counter is an instruction.
 *
 * The lines `steps NAME INSTRUCTIONS STORES INVLPG FLUSHES UNITS` are found in another way: the processor traps behind each instruction, and it is
 * looked at what comes next, and whether the page table behind the map has changed.
 *
 * Uses what the kernel exports to modules, and its headers. The machine ends with the module: QEMU's debug device has the verdict.
 */

#define pr_fmt(fmt) "highmem_bench: " fmt

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/irq_work.h>
#include <linux/kdebug.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <asm/msr.h>
#include <asm/pgtable.h>
#include <asm/processor-flags.h>

#define PAGES 2048
#define RUN (1 << (20 - PAGE_SHIFT))
#define CPUS 4

static unsigned int rounds = 10000;
module_param(rounds, uint, 0);
MODULE_PARM_DESC(rounds, "how often each operation is done in the shorter run");

static bool steps;
module_param(steps, bool, 0);
MODULE_PARM_DESC(steps, "trap behind each instruction, too");

static bool threads;
module_param(threads, bool, 0);
MODULE_PARM_DESC(threads, "only measure what all CPUs do at once");

static unsigned int best = 1;
module_param(best, uint, 0);
MODULE_PARM_DESC(best, "how often to measure; the least counts");

/* Pages above 4 GiB: each half of their entries has something to say. */
static struct page *high[PAGES];
static struct page *low;
static unsigned long user_address;

/* The loops. `page` comes out of a register that the compiler knows nothing of. */

#define OPERATION(name, ...)							\
	static __always_inline void once_##name(void)				\
	{									\
		struct page *page = high[0], *other = high[1];			\
										\
		OPTIMIZER_HIDE_VAR(page);					\
		OPTIMIZER_HIDE_VAR(other);					\
		(void)page;							\
		(void)other;							\
		__VA_ARGS__							\
	}									\
	static noinline __maybe_unused u64 loop_##name(unsigned int n)		\
	{									\
		u64 start = rdtsc();						\
										\
		while (n) {							\
			once_##name();						\
			n--;							\
			OPTIMIZER_HIDE_VAR(n);					\
		}								\
		return rdtsc() - start;						\
	}									\
	static noinline __maybe_unused void step_##name(void)			\
	{									\
		once_##name();							\
	}

static __always_inline void use(const void *address)
{
	asm volatile("" : : "r"(address) : "memory");
}

static __always_inline void read_one(const void *address)
{
	(void)*(const volatile u32 *)address;
}

OPERATION(empty, )
OPERATION(pair, void *at = kmap_atomic(page); use(at); kunmap_atomic(at);)
OPERATION(pair_and_read, void *at = kmap_atomic(page); read_one(at); kunmap_atomic(at);)
OPERATION(local_pair, void *at = kmap_local_page(page); use(at); kunmap_local(at);)
OPERATION(local_pair_and_read, void *at = kmap_local_page(page); read_one(at); kunmap_local(at);)
OPERATION(two_nested,
	void *from = kmap_atomic(page);
	void *to = kmap_atomic(other);
	use(from);
	use(to);
	kunmap_atomic(to);
	kunmap_atomic(from);)
OPERATION(local_two_nested,
	void *from = kmap_local_page(page);
	void *to = kmap_local_page(other);
	use(from);
	use(to);
	kunmap_local(to);
	kunmap_local(from);)
OPERATION(pair_lowmem,
	void *at;
	page = low;
	OPTIMIZER_HIDE_VAR(page);
	at = kmap_atomic(page);
	use(at);
	kunmap_atomic(at);)
OPERATION(local_pair_lowmem,
	void *at;
	page = low;
	OPTIMIZER_HIDE_VAR(page);
	at = kmap_local_page(page);
	use(at);
	kunmap_local(at);)
OPERATION(same_page_again,
	int i;
	for (i = 0; i < 8; i++) {
		void *at = kmap_atomic(page);
		read_one(at + 512 * i);
		kunmap_atomic(at);
	})
OPERATION(clear_highpage, clear_highpage(page);)
OPERATION(copy_highpage, copy_highpage(other, page);)
OPERATION(copy_run,
	int i;
	for (i = 0; i < RUN; i++)
		copy_highpage(high[RUN + i], high[i]);)
OPERATION(kmap_hit, void *at = kmap(page); use(at); kunmap(page);)
OPERATION(kmap_lowmem,
	void *at;
	page = low;
	OPTIMIZER_HIDE_VAR(page);
	at = kmap(page);
	use(at);
	kunmap(page);)
OPERATION(kmap_remap,
	int i;
	for (i = 0; i < PAGES; i++) {
		void *at = kmap(high[i]);
		use(at);
		kunmap(high[i]);
	})
OPERATION(kmap_wrap,
	static unsigned int next;
	int i;
	for (i = 0; i < LAST_PKMAP; i++) {
		page = high[next++ % PAGES];
		use(kmap(page));
		kunmap(page);
	})

/* The entry of a user address, as kernel code looks it up in a page table that is in high memory (CONFIG_HIGHPTE). */
static __always_inline pmd_t *table_of(unsigned long address)
{
	pgd_t *pgd = pgd_offset(current->mm, address);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;

	if (pgd_none(*pgd) || pgd_bad(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, address);
	if (p4d_none(*p4d) || p4d_bad(*p4d))
		return NULL;
	pud = pud_offset(p4d, address);
	if (pud_none(*pud) || pud_bad(*pud))
		return NULL;
	pmd = pmd_offset(pud, address);
	return pmd_none(*pmd) || pmd_bad(*pmd) ? NULL : pmd;
}

OPERATION(walk,
	unsigned long address = user_address;
	pmd_t *pmd = table_of(address);
	if (pmd) {
		pte_t *pte = pte_offset_map(pmd, address);
		read_one(pte);
		pte_unmap(pte);
	})

/* Measuring. */

/* Turns interrupts off where no other task is due: `preempt_enable()` would look for it each time. */
static unsigned long undisturbed(void)
{
	unsigned long flags;

	for (;;) {
		local_irq_save(flags);
		if (!need_resched() || in_hardirq())
			return flags;
		local_irq_restore(flags);
		cond_resched();
	}
}

static u64 least(u64 (*loop)(unsigned int), unsigned int n)
{
	u64 least = U64_MAX;
	unsigned int i;

	for (i = 0; i < best; i++) {
		unsigned long flags = undisturbed();

		least = min(least, loop(n));
		local_irq_restore(flags);
	}
	return least;
}

static void measure(const char *name, u64 (*loop)(unsigned int), unsigned int n, unsigned int units)
{
	u64 once = least(loop, n);

	pr_crit("bench %s %llu %llu %u %u\n", name, once, least(loop, 2 * n), n, units);
}

/* Counting by steps. */

static struct {
	bool on;
	bool stores;
	u32 *table;
	u32 before[PAGE_SIZE / sizeof(u32)];
	u64 instructions, changes, invlpg, half_flushes;
} seen;

static void look_at_table(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(seen.before); i++) {
		u32 now = READ_ONCE(seen.table[i]);

		if (now != seen.before[i]) {
			/* 2 and more in one step would be one wide store. The processor's own bits do not count. */
			if ((now ^ seen.before[i]) & ~(_PAGE_ACCESSED | _PAGE_DIRTY) || !now)
				seen.changes++;
			seen.before[i] = now;
		}
	}
}

/* Behind each instruction: `regs->ip` is the next. */
static int behind_each(struct notifier_block *block, unsigned long event, void *data)
{
	struct die_args *args = data;
	const u8 *next;

	if (event != DIE_DEBUG || !seen.on)
		return NOTIFY_DONE;
	if (seen.stores)
		look_at_table();
	seen.instructions++;
	next = (const u8 *)args->regs->ip;
	while (*next == 0x3e || *next == 0xf0 || *next == 0x66 || *next == 0x64)
		next++;
	/* What may write a word of memory: the forms of mov, xchg, and what begins with 0f (cmpxchg8b). */
	seen.stores = *next == 0x89 || *next == 0xc7 || *next == 0x87 || *next == 0xa3 || *next == 0x0f || *next == 0xab;
	if (next[0] == 0x0f && next[1] == 0x01 && (next[2] >> 3 & 7) == 7 && next[2] >> 6 != 3)
		seen.invlpg++;
	/* A load of CR3 is a flush of all; so are two of CR4, which take the global pages' bit off and set it again. */
	if (next[0] == 0x0f && next[1] == 0x22 && (next[2] >> 3 & 7) == 3)
		seen.half_flushes += 2;
	if (next[0] == 0x0f && next[1] == 0x22 && (next[2] >> 3 & 7) == 4)
		seen.half_flushes++;
	return NOTIFY_STOP;
}

static struct notifier_block notifier = { .notifier_call = behind_each, .priority = INT_MAX };

static noinline void step_through(void (*operation)(void))
{
	asm volatile("pushfl; orl %0, (%%esp); popfl" : : "i"(X86_EFLAGS_TF) : "memory", "cc");
	operation();
	asm volatile("pushfl; andl %0, (%%esp); popfl" : : "i"(~X86_EFLAGS_TF) : "memory", "cc");
}

static void count(const char *name, void (*operation)(void), void *mapped, unsigned int units)
{
	static u64 around;
	unsigned int level;
	unsigned long flags;
	pte_t *pte = lookup_address((unsigned long)mapped, &level);

	if (!pte) {
		pr_crit("%p has no entry\n", mapped);
		return;
	}
	seen.table = (u32 *)((unsigned long)pte & PAGE_MASK);
	flags = undisturbed();
	operation();
	memcpy(seen.before, seen.table, PAGE_SIZE);
	seen.instructions = seen.changes = seen.invlpg = seen.half_flushes = 0;
	seen.stores = false;
	seen.on = true;
	step_through(operation);
	seen.on = false;
	local_irq_restore(flags);
	if (operation == step_empty)
		around = seen.instructions;
	pr_crit("steps %s %llu %llu %llu %llu %u\n", name, seen.instructions - around, seen.changes, seen.invlpg,
		seen.half_flushes / 2, units);
}

#define BOTH(name, n, units, mapped) do {					\
		measure(#name, loop_##name, n, units);				\
		if (steps)							\
			count(#name, step_##name, mapped, units);		\
	} while (0)

/* In an interrupt handler. */

static void in_handler(struct irq_work *work)
{
	if (in_hardirq())
		measure("pair_in_interrupt", loop_pair_and_read, rounds, 1);
}

static struct irq_work handler = IRQ_WORK_INIT_HARD(in_handler);

/* All CPUs at once. */

static atomic_t arrived, left;
static u64 began, ended;
static bool hits;
static DECLARE_COMPLETION(all_done);

static int worker(void *data)
{
	unsigned int cpu = (unsigned long)data, i, n;
	struct page **own = high + cpu * (PAGES / CPUS);

	if (atomic_inc_return(&arrived) == CPUS) {
		began = rdtsc();
		atomic_inc(&arrived);
	}
	while (atomic_read(&arrived) <= CPUS)
		cpu_relax();
	for (n = 0; n < rounds; n++)
		for (i = 0; i < PAGES / CPUS; i++) {
			struct page *page = hits ? own[0] : own[i];

			use(kmap(page));
			kunmap(page);
		}
	if (atomic_dec_and_test(&left)) {
		ended = rdtsc();
		complete(&all_done);
	}
	return 0;
}

static int on_all_cpus(const char *name, bool of_hits)
{
	unsigned long cpu;

	hits = of_hits;
	atomic_set(&arrived, 0);
	atomic_set(&left, CPUS);
	reinit_completion(&all_done);
	for (cpu = 0; cpu < CPUS; cpu++) {
		struct task_struct *thread = kthread_create_on_cpu(worker, (void *)cpu, cpu, "bench/%u");

		if (IS_ERR(thread))
			return PTR_ERR(thread);
		wake_up_process(thread);
	}
	wait_for_completion(&all_done);
	pr_crit("total %s %llu %llu\n", name, ended - began, (u64)rounds * PAGES);
	return 0;
}

static int measure_all(void)
{
	unsigned int i, level = 0;
	void *atomic, *pool;
	pmd_t *pmd;

	for (i = 0; i < PAGES; i++)
		do {
			high[i] = alloc_page(GFP_HIGHUSER);
			if (!high[i])
				return -ENOMEM;
		} while (page_to_pfn(high[i]) < 1 << (32 - PAGE_SHIFT));
	low = alloc_page(GFP_KERNEL);
	if (!low || PageHighMem(low))
		return -ENOMEM;
	lookup_address((unsigned long)page_address(low), &level);
	pr_crit("maps lowmem by level %u\n", level);
	lookup_address((unsigned long)&_printk, &level);
	pr_crit("maps text by level %u\n", level);
	if (threads) {
		if (num_online_cpus() != CPUS)
			return -ENODEV;
		return on_all_cpus("kmap_remap_on_4_cpus", false) ?: on_all_cpus("kmap_hit_on_4_cpus", true);
	}

	user_address = current->mm->start_stack;
	pmd = table_of(user_address);
	if (!pmd || !PageHighMem(pmd_page(*pmd)))
		return -ENXIO;

	/* Where the first map of each kind is. */
	atomic = kmap_atomic(high[0]);
	kunmap_atomic(atomic);
	pool = kmap(high[0]);
	kunmap(high[0]);

	if (steps) {
		register_die_notifier(&notifier);
		count("empty", step_empty, atomic, 1);
	}
	measure("empty", loop_empty, rounds, 1);
	BOTH(pair, rounds, 1, atomic);
	BOTH(pair_and_read, rounds, 1, atomic);
	BOTH(local_pair, rounds, 1, atomic);
	BOTH(local_pair_and_read, rounds, 1, atomic);
	BOTH(two_nested, rounds, 1, atomic);
	BOTH(local_two_nested, rounds, 1, atomic);
	BOTH(pair_lowmem, rounds, 1, atomic);
	BOTH(local_pair_lowmem, rounds, 1, atomic);
	BOTH(same_page_again, rounds / 8, 8, atomic);
	BOTH(clear_highpage, rounds / 8, 1, atomic);
	BOTH(copy_highpage, rounds / 8, 1, atomic);
	BOTH(copy_run, max(rounds / 5000, 1u), 1, atomic);
	BOTH(walk, rounds, 1, atomic);
	BOTH(kmap_lowmem, rounds, 1, pool);
	BOTH(kmap_hit, rounds, 1, pool);
	loop_kmap_remap(1);
	measure("kmap_remap", loop_kmap_remap, max(rounds / 2000, 1u), PAGES);
	if (steps)
		count("kmap_remap", step_kmap_wrap, pool, LAST_PKMAP);
	irq_work_queue(&handler);
	irq_work_sync(&handler);
	if (steps)
		unregister_die_notifier(&notifier);
	return 0;
}

static int __init highmem_bench_init(void)
{
	int error = measure_all();

	pr_crit("verdict: %s (%d)\n", error ? "FAIL" : "PASS", error);
	msleep(100);
	outb(error ? 17 : 16, 0xf4);
	return -ENODEV;
}
module_init(highmem_bench_init);

MODULE_DESCRIPTION("What maps of high memory cost");
MODULE_LICENSE("Dual MIT/GPL");
