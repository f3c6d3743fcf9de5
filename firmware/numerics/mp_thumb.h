/* mp_thumb.h: functions in assembler, and which instruction set they may use; only this file asks the compiler for it.
 *
 * MP_THUMB2 is 1 where the core has the whole of ARMv7-M's (Cortex-M3 and up), MP_THUMB1 where it is any Cortex-M. */
#ifndef MCUPRUNE_THUMB_H
#define MCUPRUNE_THUMB_H

#define MP_THUMB1 0
#define MP_THUMB2 0

#if defined(__ARM_ARCH_ISA_THUMB) && defined(__ARM_ARCH_PROFILE)
#if __ARM_ARCH_PROFILE == 'M'
#undef MP_THUMB1
#define MP_THUMB1 1
#if __ARM_ARCH_ISA_THUMB >= 2
#undef MP_THUMB2
#define MP_THUMB2 1
#endif
#endif
#endif

/* A function that is one piece of assembly, and its parameters: the compiler neither changes nor uses them. */
#define MP_NAKED __attribute__((naked, noinline, used))
#define MP_UNUSED __attribute__((unused))

#endif
