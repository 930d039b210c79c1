import { Flex, Spin } from 'antd'
import { Failed } from '../parts/Failed'
import { MeContext, useMe } from './session'
import { Shell } from './Shell'
import { SignIn } from './SignIn'

/** Entrance shows the pages to whoever is signed in, at the address that he came for. */
export function Entrance() {
  const me = useMe()
  if (me.isPending) {
    return (
      <Flex justify="center" align="center" style={{ height: '100%' }}>
        <Spin size="large" />
      </Flex>
    )
  }
  if (me.isError) return <Failed error={me.error} again={() => void me.refetch()} />
  if (me.data === null) return <SignIn />
  return (
    <MeContext.Provider value={me.data}>
      <Shell me={me.data} />
    </MeContext.Provider>
  )
}
