import { Empty, Flex, Spin } from 'antd'
import { Problem } from '../api/client'
import { Failed } from '../parts/Failed'
import { MeContext, useMe } from './session'
import { Shell } from './Shell'
import { SignIn } from './SignIn'
import { useTexts } from './texts'
import en from '../words/en.json'
import zh from '../words/zh.json'

/** Entrance shows the pages to whoever is signed in, at the address that he came for. */
export function Entrance() {
  const t = useTexts({ zh, en })
  const me = useMe()
  if (me.isPending) {
    return (
      <Flex justify="center" align="center" style={{ height: '100%' }}>
        <Spin size="large" />
      </Flex>
    )
  }
  if (me.error instanceof Problem && me.error.status === 403) return <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('noRole')} style={{ marginTop: '20vh' }} />
  if (me.isError) return <Failed error={me.error} again={() => void me.refetch()} />
  if (me.data === null) return <SignIn />
  return (
    <MeContext.Provider value={me.data}>
      <Shell me={me.data} />
    </MeContext.Provider>
  )
}
