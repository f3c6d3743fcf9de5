/* mp_cortex_m.h: the few core registers that startup and drivers touch. Arm DDI 0403 (ARMv7-M), B3; DDI 0419 (ARMv6-M), B3;
 * DDI 0553 (ARMv8-M), D1.2. */
#ifndef MCUPRUNE_CORTEX_M_H
#define MCUPRUNE_CORTEX_M_H

#include <stdint.h>

#define MP_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

#define MP_SYST_CSR MP_REGISTER(0xE000E010u) /* SysTick control: 0 enable, 1 interrupt, 2 processor clock */
#define MP_SYST_RVR MP_REGISTER(0xE000E014u) /* reload value, 24 bits */
#define MP_SYST_CVR MP_REGISTER(0xE000E018u) /* current value, counts down */
#define MP_NVIC_ISER(n) MP_REGISTER(0xE000E100u + 4u * (n)) /* interrupt set-enable, 32 a word */
#define MP_CPACR MP_REGISTER(0xE000ED88u)                   /* coprocessor access: 20..23 floating point, vectors */
#define MP_DEMCR MP_REGISTER(0xE000EDFCu)                   /* 24 TRCENA */
#define MP_DWT_CTRL MP_REGISTER(0xE0001000u)                /* 0 CYCCNTENA, 25 NOCYCCNT */
#define MP_DWT_CYCCNT MP_REGISTER(0xE0001004u)

static inline void mp_enable_irq(uint32_t irq)
{
    MP_NVIC_ISER(irq / 32u) = 1u << (irq % 32u);
}

/* Sleeps until an interrupt is pending; also with interrupts masked. */
static inline void mp_wait_for_interrupt(void)
{
    __asm volatile("wfi" ::: "memory");
}

static inline void mp_mask_interrupts(void)
{
    __asm volatile("cpsid i" ::: "memory");
}

static inline void mp_unmask_interrupts(void)
{
    __asm volatile("cpsie i" ::: "memory");
}

#endif
