/** Single values of gateway.yaml, as more than one section has them. */
import { z } from 'zod'

/** `${PORT}` gives a string, so digits are a number here. */
export function wholeNumber(
  min: number,
  max: number,
  fallback: number,
  description: string,
): z.ZodDefault<z.ZodType<number>> {
  const number: z.ZodType<number> = z.preprocess(digits, z.int().min(min).max(max))
  return number.default(fallback).meta({ description, fallback })
}

export function flag(fallback: boolean, description: string): z.ZodDefault<z.ZodType<boolean>> {
  const boolean: z.ZodType<boolean> = z.preprocess(word, z.boolean())
  return boolean.default(fallback).meta({ description, fallback })
}

export function digits(value: unknown): unknown {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
}

function word(value: unknown): unknown {
  return value === 'true' ? true : value === 'false' ? false : value
}

export const text = (description: string): z.ZodString => z.string().min(1).max(4096).describe(description)
export const texts = (description: string): z.ZodDefault<z.ZodArray<z.ZodString>> =>
  z.array(z.string()).default([]).describe(description)

export function isHttpUrl(value: string): boolean {
  const url = URL.parse(value)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return false
  return url.username === '' && url.password === '' && url.hash === ''
}
