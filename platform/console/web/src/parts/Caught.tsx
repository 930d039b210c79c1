import { Component, type ReactNode } from 'react'
import { Failed } from './Failed'

/** Caught shows what went wrong while a page was drawn, instead of nothing. */
export class Caught extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: undefined }

  static getDerivedStateFromError(error: unknown) {
    return { error }
  }

  override render() {
    if (this.state.error !== undefined) return <Failed error={this.state.error} again={() => location.reload()} />
    return this.props.children
  }
}
