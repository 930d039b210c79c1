export interface Line {
  text: string
  same: boolean
}

export interface Compared {
  left: Line[]
  right: Line[]
  same: boolean
}

// Beyond so many pairs of lines, lines are compared by their place alone.
const most = 4_000_000

/** broken puts each element of a document that stands in one line on a line of its own. */
const broken = (text: string) => text.replace(/></g, '>\n<').split('\n')

/** compared finds the lines that two texts share, in order (longest common subsequence). */
export function compared(a: string, b: string): Compared {
  const x = broken(a)
  const y = broken(b)
  const left = x.map((text) => ({ text, same: false }))
  const right = y.map((text) => ({ text, same: false }))
  if (x.length * y.length > most) {
    left.forEach((l, i) => (l.same = y[i] === l.text))
    right.forEach((l, i) => (l.same = x[i] === l.text))
  } else {
    const width = y.length + 1
    const table = new Uint32Array((x.length + 1) * width)
    const at = (i: number, j: number) => table[i * width + j] ?? 0
    for (let i = x.length - 1; i >= 0; i--)
      for (let j = y.length - 1; j >= 0; j--) table[i * width + j] = x[i] === y[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    for (let i = 0, j = 0; i < x.length && j < y.length; ) {
      const l = left[i]
      const r = right[j]
      if (x[i] === y[j] && l && r) {
        l.same = r.same = true
        i++
        j++
      } else if (at(i + 1, j) >= at(i, j + 1)) i++
      else j++
    }
  }
  return { left, right, same: left.every((l) => l.same) && right.every((l) => l.same) }
}
