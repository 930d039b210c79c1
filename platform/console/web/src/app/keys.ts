import { useEffect } from 'react'
import { useNavigate } from 'react-router'
import { pages } from './page'

const writing = (e: KeyboardEvent) =>
  e.target instanceof HTMLElement && (e.target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(e.target.tagName))

/** useKeys: g and a page's letter go there, / is the search, ? tells of them. */
export function useKeys(search: () => void, help: () => void) {
  const navigate = useNavigate()
  useEffect(() => {
    let since = 0
    const pressed = (e: KeyboardEvent) => {
      if (writing(e) || e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return
      if (e.timeStamp - since < 1500) {
        since = 0
        const to = pages.find((p) => p.letter !== '' && p.letter === e.key)
        if (to) {
          e.preventDefault()
          void navigate('/' + to.path)
        }
        return
      }
      if (e.key === 'g') since = e.timeStamp
      if (e.key === '/') {
        e.preventDefault()
        search()
      }
      if (e.key === '?') help()
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  }, [navigate, search, help])
}
