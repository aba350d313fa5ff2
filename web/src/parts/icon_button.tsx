import { Icon, type IconName } from "./icon";

interface Props {
  icon: IconName;
  label: string;
  onClick: () => void;
  disabled?: boolean;
  pressed?: boolean;
  class?: string;
}

export const IconButton = ({ icon, label, onClick, disabled, pressed, class: kind }: Props) => (
  <button
    type="button"
    class={`icon-button ${kind ?? ""}`}
    aria-label={label}
    title={label}
    aria-pressed={pressed}
    disabled={disabled}
    onClick={onClick}
  >
    <Icon name={icon} />
  </button>
);
