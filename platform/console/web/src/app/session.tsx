import { useQuery, useQueryClient } from '@tanstack/react-query'
import { createContext, useContext } from 'react'
import { api, ok, Problem, type Schemas } from '../api/client'

export type Me = Schemas['ClinicConsoleMe']

/** useMe asks who is signed in: null is nobody. */
export function useMe() {
  return useQuery({
    queryKey: ['me'],
    staleTime: 60_000,
    retry: false,
    queryFn: async (): Promise<Me | null> => {
      try {
        return await ok(api.GET('/clinic/v1/console/me'))
      } catch (e) {
        if (e instanceof Problem && e.status === 401) return null
        throw e
      }
    },
  })
}

export const MeContext = createContext<Me | null>(null)

/** useRights says what the person may offer himself; the API decides. */
export function useRights() {
  const me = useContext(MeContext)
  const may = (right: string, hospital?: string) =>
    (me?.rights ?? []).some((r) => r.right === right && (hospital === undefined || r.everywhere === true || (r.hospitals ?? []).includes(hospital)))
  /** hospitals where the person has the right, as choices. */
  const where = (right: string) => (me?.hospitals ?? []).filter((h) => may(right, h.id))
  const nameOf = (hospital: string) => me?.hospitals.find((h) => h.id === hospital)?.name ?? hospital
  return { me, may, where, nameOf }
}

export function useSignOut() {
  const queries = useQueryClient()
  return async () => {
    await api.DELETE('/clinic/v1/session')
    queries.setQueryData(['me'], null)
    // what the one saw is not there for the next
    queries.removeQueries({ predicate: (q) => q.queryKey[0] !== 'me' })
  }
}
